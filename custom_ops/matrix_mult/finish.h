// What is done to a tile of sums once the depth is through: bias, activation, rounding. For kernel.cc alone.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_FINISH_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_FINISH_H_

#include "custom_ops/matrix_mult/simd.h"

namespace slipway::SLIPWAY_ISA {
namespace {

// exp(x) within 2 units in the last place; from 88 on infinity, below -87 exp(-87), NaN for NaN. Cephes' reduction
// x = n ln 2 + r with a polynomial for exp(r).
inline Floats Exp(Floats x) {
  constexpr float kLog2e = 1.44269504088896341f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const Words infinity = Words{} + 0x7f800000u;
  const Ints overflows = x > 88.0f;
  x = x < -87.0f ? Floats{} - 87.0f : x;
  x = overflows ? Floats{} : x;
  const Floats shifted = x * kLog2e + kRound;
  const Floats n = shifted - kRound;
  const Floats r = (x - n * kLn2High) - n * kLn2Low;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Floats scale = (Floats)(((Words)shifted + 127u) << 23);
  return overflows ? (Floats)infinity : p * scale;
}

struct Gelu {
  Floats value, slope;
};

// Hendrycks and Gimpel's approximation, x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), as x / (1 +
// exp(-2 u)), which does not cancel where x is far below 0.
inline Gelu GeluOf(Floats x) {
  constexpr float kLinear = 1.5957691216f, kCubic = 0.0713548162726f;  // of 2 u
  const Floats square = x * x;
  const Floats share = 1.0f / (1.0f + Exp(-(x * (kLinear + kCubic * square))));
  const Floats value = x * share;
  return {value, share + value * (1.0f - share) * (kLinear + 3.0f * kCubic * square)};
}

// Where a tile goes; its rows are `stride` apart.
template <typename T>
struct Target {
  T* c;
  T* slope;  // nullptr: nowhere
  int64_t stride;
  bool past_caches;  // where that is possible
};

// Writes the first `count`.
template <typename T>
void StoreFirst(T* to, Floats values, int64_t count, bool past_caches) {
  const auto rounded = Format<T>::Rounded(values);
  if (count < kLanes) {
    T whole[kLanes];
    Store(whole, rounded);
    for (int64_t i = 0; i < count; ++i) to[i] = whole[i];
  } else if (past_caches && reinterpret_cast<uintptr_t>(to) % sizeof rounded == 0) {
    Stream(to, rounded);
  } else {
    Store(to, rounded);
  }
}

// Writes a tile [rows, columns] from its sums, whose rows may go on as far as whole vectors; so may `bias`.
template <Activation kActivation, typename T>
void Finish(const float* sums, int64_t sums_stride, const float* bias, int64_t rows, int64_t columns, Target<T> to) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; column += kLanes) {
      Floats x = Load<Floats>(sums + row * sums_stride + column) + Load<Floats>(bias + column);
      const int64_t at = row * to.stride + column;
      if (kActivation == Activation::kRelu) {
        x = x < 0.0f ? Floats{} : x;  // NaN stays
      } else if (kActivation == Activation::kGelu) {
        const Gelu gelu = GeluOf(x);
        if (to.slope != nullptr) StoreFirst(to.slope + at, gelu.slope, columns - column, to.past_caches);
        x = gelu.value;
      }
      StoreFirst(to.c + at, x, columns - column, to.past_caches);
    }
  }
}

template <typename T>
using Finisher = decltype(&Finish<Activation::kNone, T>);

template <typename T>
Finisher<T> FinisherOf(Activation activation) {
  switch (activation) {
    case Activation::kRelu: return Finish<Activation::kRelu, T>;
    case Activation::kGelu: return Finish<Activation::kGelu, T>;
    case Activation::kNone: break;
  }
  return Finish<Activation::kNone, T>;
}

}  // namespace
}  // namespace slipway::SLIPWAY_ISA

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_FINISH_H_
