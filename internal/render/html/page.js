"use strict";
// What can be copied gets a button.
document.querySelectorAll("pre").forEach(function (pre) {
  var text = pre.textContent, button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", function () {
    var area = document.createElement("textarea"); // which works without the leave that navigator.clipboard asks for
    area.value = text;
    document.body.appendChild(area);
    area.select();
    button.textContent = document.execCommand("copy") ? "Copied" : "Select it and copy";
    area.remove();
    button.focus();
  });
  var box = document.createElement("div");
  box.className = "copied";
  pre.parentNode.insertBefore(box, pre);
  box.appendChild(pre);
  box.appendChild(button);
});
// Tables of class "sortable" get a button in each heading: a click, Enter or Space sorts by that column. Cells say by
// data-sort what they are sorted by where that is not their text.
(function () {
  function value(row, column) {
    var cell = row.cells[column];
    var text = cell.hasAttribute("data-sort") ? cell.getAttribute("data-sort") : cell.textContent.trim();
    var number = text === "" ? NaN : Number(text);
    return { text: text, number: number };
  }
  function compare(a, b) {
    var x = !isNaN(a.number), y = !isNaN(b.number);
    if (x && y) return a.number - b.number;
    if (x !== y) return x ? -1 : 1; // numbers before what is not known
    return a.text.localeCompare(b.text, undefined, { numeric: true });
  }
  function sort(table, heading, column) {
    var down = heading.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("thead th").forEach(function (th) { th.removeAttribute("aria-sort"); });
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    var body = table.tBodies[0];
    var rows = Array.prototype.map.call(body.rows, function (row, i) { return { row: row, at: i, key: value(row, column) }; });
    rows.sort(function (a, b) { return (down ? -1 : 1) * compare(a.key, b.key) || a.at - b.at; });
    rows.forEach(function (r) { body.appendChild(r.row); });
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    if (!table.tHead || !table.tBodies.length || table.tBodies[0].rows.length < 2) return;
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (heading, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (heading.firstChild) button.appendChild(heading.firstChild);
      heading.appendChild(button);
      button.addEventListener("click", function () { sort(table, heading, column); });
    });
  });
})();
