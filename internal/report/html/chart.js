"use strict";
// Exchanges the still drawings of a report for charts that can be zoomed (drag; double click to go back) and read off
// under the pointer. It draws from the report's own JSON, and leaves the drawing where it cannot.
(function () {
  var element = document.getElementById("splitbench-report");
  if (!element || typeof uPlot === "undefined") return;
  var report = JSON.parse(element.textContent), series = report.series;
  if (!series) return;
  var dashes = [[], [9, 4], [2.5, 3.5], [12, 4, 2.5, 4], [16, 5], [6, 3, 2, 3, 2, 3]];
  var drawn = [];

  // Names are foreign text: what does not print, or turns the direction of text, is shown as an escape.
  function safe(name) {
    var out = "", n = 0;
    for (var c of String(name)) {
      if (++n > 63) return out + "...";
      out += c !== " " && /[\p{C}\p{Z}]/u.test(c) ? "\\u{" + c.codePointAt(0).toString(16) + "}" : c;
    }
    return out;
  }
  function css(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
  function color(i) { return function () { return css("--s" + (i % 8)); }; }
  function percent(v) { return v == null ? "--" : (100 * v).toFixed(1) + "%"; }
  function ms(v) {
    if (v == null) return "--";
    return v >= 1000 ? (v / 1000).toFixed(2) + "s" : v < 1 ? v.toFixed(2) + "ms" : v.toFixed(1) + "ms";
  }
  function axis(more) {
    return Object.assign({
      stroke: function () { return css("--muted"); }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif",
      grid: { stroke: function () { return css("--faint"); }, width: 1 }, ticks: { show: false }
    }, more);
  }
  function line(label, i, more) {
    return Object.assign({
      label: label, stroke: color(i), width: 2, dash: dashes[i % dashes.length], points: { show: false }, spanGaps: true
    }, more);
  }
  function draw(id, options, data) {
    var figure = document.getElementById("chart-" + id);
    var host = figure && figure.querySelector(".live");
    if (!host) return;
    figure.classList.add("drawn"); // first: what is hidden has no width
    options.width = Math.max(320, host.clientWidth);
    options.height = 330;
    options.legend = { markers: { show: false } }; // the page's own legend shows dashes too
    try {
      var plot = new uPlot(options, data, host);
      plot.root.setAttribute("aria-hidden", "true"); // its host has the words, the page a table
      drawn.push({ host: host, plot: plot });
    } catch (e) {
      figure.classList.remove("drawn"); // the still drawing says the same
      throw e;
    }
  }

  function overTime() {
    var o = series.overTime, figure = document.querySelector('figure[data-chart="time"]');
    if (!o || !figure) return;
    var x = [], totals = [], w, b;
    for (w = 0; w < o.windows; w++) {
      x.push((w + 0.5) * o.windowSeconds);
      totals.push(o.backends.reduce(function (n, b) { return n + b.observed[w]; }, 0));
    }
    var data = [x], lines = [{ label: "seconds", value: function (u, v) { return v == null ? "--" : v.toFixed(2); } }];
    var said = {}, low = 1, high = 0;
    for (b = 0; b < Math.min(o.backends.length, 24); b++) {
      var shares = o.backends[b].observed.map(function (n, w) { return totals[w] > 0 ? n / totals[w] : null; });
      shares.forEach(function (s) { if (s != null) { low = Math.min(low, s); high = Math.max(high, s); } });
      lines.push(line(safe(o.backends[b].backend), b, { value: function (u, v) { return percent(v); } }));
      data.push(shares);
    }
    for (b = 0; b < Math.min(report.backends.length, 24); b++) {
      var expected = report.backends[b].expectedShare;
      if (said[expected]) continue;
      said[expected] = true;
      low = Math.min(low, expected);
      high = Math.max(high, expected);
      lines.push({
        label: "weight " + percent(expected), stroke: function () { return css("--fg"); }, width: 1.25, dash: [7, 4], points: { show: false },
        value: function () { return ""; }
      });
      data.push(x.map(function () { return expected; }));
    }
    // Where about 99 of 100 windows lie when the weight is obeyed, as the still drawing has it.
    var bands = report.backends.length <= 3 ? Object.keys(said).map(Number) : [];
    function shade(u) {
      var c = u.ctx;
      c.save();
      c.beginPath();
      c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      c.clip();
      c.fillStyle = css("--shade");
      bands.forEach(function (p) {
        var up = [], down = [];
        x.forEach(function (s, i) {
          if (!totals[i]) return;
          var half = 2.5758 * Math.sqrt(p * (1 - p) / totals[i]), at = u.valToPos(s, "x", true);
          up.push([at, u.valToPos(p + half, "y", true)]);
          down.unshift([at, u.valToPos(p - half, "y", true)]);
        });
        c.beginPath();
        up.concat(down).forEach(function (q, i) { if (i) c.lineTo(q[0], q[1]); else c.moveTo(q[0], q[1]); });
        c.fill();
      });
      c.restore();
    }
    var room = Math.max(0.05, 0.1 * (high - low));
    draw("time", {
      scales: { x: { time: false, range: [0, o.windows * o.windowSeconds] }, y: { range: [Math.max(0, low - room), Math.min(1, high + room)] } },
      series: lines,
      axes: [axis({ label: "seconds since the first request" }), axis({ size: 56, values: function (u, v) { return v.map(function (x) { return parseFloat((100 * x).toFixed(4)) + "%"; }); } })],
      hooks: { drawClear: [shade], draw: [function (u) { marks(u, series.marks || []); }] }
    }, data);
  }

  // One mark is drawn with its text, several by their numbers in the list below; numbers that would cover each other are one.
  function marks(u, all) {
    var c = u.ctx, room = devicePixelRatio, last = null;
    c.save();
    c.strokeStyle = c.fillStyle = css("--fg");
    c.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    c.font = 12 * devicePixelRatio + "px system-ui, sans-serif";
    function say(h) { if (h) c.fillText(h.first === h.end ? h.first : h.first + "-" + h.end, h.x + 4 * room, u.bbox.top + 14 * room); }
    all.forEach(function (m, i) {
      var x = u.valToPos(m.atSeconds, "x", true);
      if (!(x >= u.bbox.left && x <= u.bbox.left + u.bbox.width)) return;
      c.beginPath();
      c.moveTo(x, u.bbox.top);
      c.lineTo(x, u.bbox.top + u.bbox.height);
      c.stroke();
      if (all.length > 1) {
        if (last && x < last.x + (16 + 15 * String(i + 1).length) * room) { last.end = i + 1; return; }
        say(last);
        last = { x: x, first: i + 1, end: i + 1 };
        return;
      }
      c.textAlign = x > u.bbox.left + u.bbox.width / 2 ? "right" : "left";
      c.fillText(safe(m.text), x + (c.textAlign === "left" ? 5 : -5) * room, u.bbox.top + 14 * room);
    });
    say(last);
    c.restore();
  }

  function latency() {
    var l = series.latency, figure = document.querySelector('figure[data-chart="latency"]');
    if (!l || !figure) return;
    var x = l.levels.map(function (q) { return -Math.log10(1 - q); });
    var place = {};
    report.backends.forEach(function (b, i) { place[b.name] = i; });
    function level(v) { return parseFloat((100 * (1 - Math.pow(10, -v))).toFixed(3)) + "%"; }
    var lines = [{ label: "within", value: function (u, v) { return v == null ? "--" : level(v); } }], data = [x];
    l.curves.forEach(function (c) {
      lines.push(line(safe(c.backend), place[c.backend] || 0, { value: function (u, v) { return ms(v); } }));
      data.push(x.map(function (_, i) { return i < c.valuesMs.length ? Math.max(c.valuesMs[i], 0.001) : null; }));
    });
    var ticks = [0, 0.5, 0.9, 0.99, 0.999, 0.9999].map(function (q) { return -Math.log10(1 - q); });
    draw("latency", {
      scales: { x: { time: false, range: [0, x[x.length - 1]] }, y: { distr: 3 } },
      series: lines,
      axes: [
        axis({
          label: "share of the requests that were answered within that time", splits: function () { return ticks; },
          values: function (u, v) { return v.map(function (x) { return x === 0 ? "fastest" : x > u.scales.x.max + 1e-9 ? null : level(x); }); }
        }),
        axis({ size: 64, values: function (u, v) { return v.map(function (x) { return x == null ? null : x >= 1000 ? x / 1000 + "s" : x < 0.1 ? parseFloat((1000 * x).toFixed(3)) + "\u00b5s" : x + "ms"; }); } })
      ]
    }, data);
  }

  overTime();
  latency();
  function again() {
    drawn.forEach(function (d) { d.plot.setSize({ width: Math.max(320, d.host.clientWidth), height: 330 }); });
  }
  addEventListener("resize", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    drawn.forEach(function (d) { d.plot.redraw(false, true); });
  });
})();
