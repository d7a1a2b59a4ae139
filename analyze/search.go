package analyze

// firstIn is the smallest n above low and up to high for which f holds; f, false and then true, counts as false at low
// and as true at high and is asked at neither.
func firstIn(low, high int64, f func(n int64) bool) int64 {
	for high-low > 1 {
		if mid := low + (high-low)/2; f(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// bisect halves a range at whose lower end f is false and at whose upper end it is true, so many times at most.
func bisect(low, high float64, halvings int, f func(x float64) bool) (below, above float64) {
	for range halvings {
		mid := low + (high-low)/2
		if mid == low || mid == high {
			break
		}
		if f(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return low, high
}

// sumOf adds up.
func sumOf[T int64 | float64](x []T) (sum T) {
	for _, v := range x {
		sum += v
	}
	return sum
}
