package sweep

// Turn is the advisory lock of a sweep.
const Turn = turn
