// Plain loops that a compiler turns into vector instructions at -O3; `omp simd` (-fopenmp-simd, no
// OpenMP library) lets it reorder these sums and no others. A row stays in cache between its loops: memory is read once.
#include "custom_ops/smoothed_softmax_xent/kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace slipway::SLIPWAY_ISA {
namespace {

// Float sums are closed after so many elements and go on in double: the error does not grow with the classes.
constexpr int64_t kBlock = 1024;

// exp(x) for x <= 0, within 2 units in the last place; below -87, where a float would soon be denormal, exp(-87).
// Cephes' reduction x = n ln 2 + r with a polynomial for exp(r); NaN stays NaN.
inline float ExpNonPositive(float x) {
  constexpr float kLog2e = 1.44269504088896341f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * kLog2e + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const uint32_t scale_bits = (bits + 127u) << 23;
  float scale;
  std::memcpy(&scale, &scale_bits, sizeof scale);
  return p * scale;
}

float Max(const float* values, int64_t count) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
  return largest;
}

struct Sums {
  double shifted = 0;      // sum of (logit - largest)
  double exponential = 0;  // sum of exp(logit - largest)
};

// Writes exp(logits - largest) into `exponentials`.
Sums Exponentials(const float* logits, int64_t count, float largest, float* exponentials) {
  Sums sums;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    float shifted = 0, exponential = 0;
#pragma omp simd reduction(+ : shifted, exponential)
    for (int64_t i = begin; i < end; ++i) {
      const float x = logits[i] - largest;
      const float e = ExpNonPositive(x);
      exponentials[i] = e;
      shifted += x;
      exponential += e;
    }
    sums.shifted += shifted;
    sums.exponential += exponential;
  }
  return sums;
}

float Row(const float* logits, int64_t classes, int64_t label, float smoothing, float* gradient) {
  const float largest = Max(logits, classes);
  const Sums sums = Exponentials(logits, classes, largest, gradient);

  const float scale = static_cast<float>(1.0 / sums.exponential);
  const float shared = smoothing / static_cast<float>(classes);
  for (int64_t i = 0; i < classes; ++i) gradient[i] = gradient[i] * scale - shared;
  gradient[label] -= 1.0f - smoothing;

  double loss = std::log(sums.exponential) - (1.0 - smoothing) * (logits[label] - largest);
  // Without smoothing the mean has no say: an infinite logit must not turn 0 * inf into NaN.
  if (smoothing > 0) loss -= smoothing * sums.shifted / static_cast<double>(classes);
  return static_cast<float>(loss);
}

}  // namespace

const SmoothedSoftmaxXentKernels kSmoothedSoftmaxXent = {Row};

}  // namespace slipway::SLIPWAY_ISA
