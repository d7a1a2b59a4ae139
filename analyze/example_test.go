package analyze_test

import (
	"fmt"

	"github.com/splitbench/splitbench/analyze"
)

// A drift of two points is inside the default tolerance of five, and chi-square alone would have condemned it.
func Example() {
	w, err := analyze.ParseWeights("podinfo=50,podinfo-east=50")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := analyze.ParseCounts("podinfo=5212,podinfo-east=4788", w)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := analyze.Judge(w, c, analyze.DefaultOptions())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Outcome)
	fmt.Printf("chi-square %.4f, ln p %.4f\n", d.GoodnessOfFit.Pearson.Value, d.GoodnessOfFit.Pearson.Asymptotic.LnP)
	for _, r := range d.Reasons {
		fmt.Println(r.Code)
	}
	// Output:
	// pass
	// chi-square 17.9776, ln p -10.7086
	// within-tolerance
	// chance
	// noticeable
}

func ExampleRequiredRequests() {
	w := analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}
	n, err := analyze.RequiredRequests(w, analyze.DefaultOptions())
	fmt.Println(n, err)
	// Output: 2410 <nil>
}
