// A distance in deviations, which count as no smaller than the roundings of numbers of a size; no score is infinite.
#define OF_MEDIAN 1.482602218505602
#define OF_MEAN 1.2533141373155001
#define ROUNDINGS (4.0 * AS_F64((u64)0x3cb00000u << 32))
#define SMALLEST AS_F64((u64)0x00100000u << 32)

DEVICE f64 scores_far(f64 distance, f64 deviation, f64 size) {
  const f64 least = ROUNDINGS * abs_f64(size);
  if (deviation < least) deviation = least;
  if (deviation < SMALLEST) deviation = SMALLEST;
  const f64 score = abs_f64(distance) / deviation;
  return score < 1e300 ? score : 1e300;
}

// How far a value is above the mean of two: that would lose the last digit of both.
DEVICE f64 scores_above(f64 v, f64 one, f64 other) { return ((v - one) + (v - other)) / 2.0; }
