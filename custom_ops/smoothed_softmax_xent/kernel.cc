// Plain loops that a compiler turns into vector instructions at -O3; `omp simd` (-fopenmp-simd, no OpenMP library) lets
// it reorder these sums and no others, and says that a gradient in the memory of its logits is no obstacle. A block of
// logits stays in the first-level cache between its two loops: memory is read once.
#include "custom_ops/smoothed_softmax_xent/kernel.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace slipway::SLIPWAY_ISA {
namespace {

// Float sums are closed after so many elements and go on in double: the error does not grow with the classes.
constexpr int64_t kBlock = 1024;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();

inline float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t ToBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float ToFloat(float value) { return value; }
inline float ToFloat(Bfloat16 value) { return FromBits(uint32_t{value.bits} << 16); }

inline void Store(float value, float* to) { *to = value; }

// To the nearest, ties to even; NaN stays NaN.
inline void Store(float value, Bfloat16* to) {
  const uint32_t bits = ToBits(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to->bits = static_cast<uint16_t>(value != value ? 0x7fc0u : rounded);
}

// exp(x) for x <= 0, within 2 units in the last place; 0 below -87.7, where a float would soon be denormal.
// Cephes' reduction x = n ln 2 + r with a polynomial for exp(r); NaN stays NaN.
inline float ExpNonPositive(float x) {
  constexpr float kLog2e = 1.44269504088896341f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = x < -88.0f ? -88.0f : x;           // then n is -127, and 2^n is 0
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
  return p * FromBits((ToBits(shifted) + 127u) << 23);
}

// NaN is not looked at.
template <typename T>
float Max(const T* values, int64_t count) {
  float largest = -kInfinity;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) {
    const float value = ToFloat(values[i]);
    largest = value > largest ? value : largest;
  }
  return largest;
}

// Over the logits so far, relative to the largest of them (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018, by blocks).
struct Sums {
  float maximum = -kInfinity;
  double shifted = 0;      // sum of (logit - shift)
  double exponential = 0;  // sum of exp(logit - shift)

  // The maximum, but finite while all logits are -inf, since -inf - -inf is NaN.
  float Shift() const { return maximum < kLowest ? kLowest : maximum; }
};

template <typename T>
void Add(const T* logits, int64_t begin, int64_t end, Sums* sums) {
  const float largest = Max(logits + begin, end - begin), before = sums->Shift();
  sums->maximum = largest > sums->maximum ? largest : sums->maximum;
  const float shift = sums->Shift();
  if (shift != before) {
    const double change = static_cast<double>(before) - shift;
    sums->shifted += static_cast<double>(begin) * change;
    sums->exponential *= std::exp(change);
  }
  float shifted = 0, exponential = 0;
#pragma omp simd reduction(+ : shifted, exponential)
  for (int64_t i = begin; i < end; ++i) {
    const float x = ToFloat(logits[i]) - shift;
    shifted += x;
    exponential += ExpNonPositive(x);
  }
  sums->shifted += shifted;
  sums->exponential += exponential;
}

template <typename T>
float Loss(const T* logits, int64_t classes, int64_t label, SmoothedSoftmaxXentOptions options,
           Normalizer* normalizer) {
  Sums sums;
  for (int64_t begin = 0; begin < classes; begin += kBlock) {
    Add(logits, begin, begin + kBlock < classes ? begin + kBlock : classes, &sums);
  }
  if (sums.maximum == -kInfinity) sums.exponential = std::numeric_limits<double>::quiet_NaN();
  *normalizer = {sums.maximum, static_cast<float>(sums.exponential)};

  const double log_sum = std::log(sums.exponential), smoothing = options.label_smoothing;
  double loss = log_sum;
  // What has no share has no say: an infinite logit must not turn 0 * inf into NaN.
  if (smoothing < 1) loss -= (1 - smoothing) * (static_cast<double>(ToFloat(logits[label])) - sums.maximum);
  if (smoothing > 0) loss -= smoothing * (sums.shifted / static_cast<double>(classes));
  const double log_sum_exp = sums.maximum + log_sum;
  if (options.z_loss != 0) loss += options.z_loss * log_sum_exp * log_sum_exp;
  return static_cast<float>(loss);
}

template <typename T>
void Gradient(const T* logits, int64_t classes, int64_t label, SmoothedSoftmaxXentOptions options,
              Normalizer normalizer, float d_loss, T* gradient) {
  const double log_sum_exp = normalizer.maximum + std::log(static_cast<double>(normalizer.sum));
  const double weight = d_loss * (1 + 2 * options.z_loss * log_sum_exp);
  const float maximum = normalizer.maximum, scale = static_cast<float>(weight / normalizer.sum);
  const float shared = d_loss * options.label_smoothing / static_cast<float>(classes);
  // Read before it is written, and rounded once.
  const float of_label = ExpNonPositive(ToFloat(logits[label]) - maximum) * scale - shared;
#pragma omp simd
  for (int64_t i = 0; i < classes; ++i) {
    Store(ExpNonPositive(ToFloat(logits[i]) - maximum) * scale - shared, &gradient[i]);
  }
  Store(of_label - d_loss * (1 - options.label_smoothing), &gradient[label]);
}

#if defined(__AVX512F__)
constexpr int64_t kCyclesPerLogit = 1;
#elif defined(__AVX2__)
constexpr int64_t kCyclesPerLogit = 2;
#else
constexpr int64_t kCyclesPerLogit = 5;
#endif

}  // namespace

const SmoothedSoftmaxXentKernels kSmoothedSoftmaxXent = {
    kCyclesPerLogit,
    {Loss<float>, Gradient<float>},
    {Loss<Bfloat16>, Gradient<Bfloat16>},
};

}  // namespace slipway::SLIPWAY_ISA
