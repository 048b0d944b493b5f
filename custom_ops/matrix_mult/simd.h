// Vectors as wide as the instruction set that this is compiled for, and how elements become words that a multiply-add
// takes. For kernel.cc alone.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_SIMD_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_SIMD_H_

#include <cstdint>
#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "custom_ops/matrix_mult/kernel.h"

namespace slipway::SLIPWAY_ISA {
namespace {

// kAccumulators: sums that fit into the registers beside what is multiplied.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kAccumulators = 24;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kAccumulators = 12;
#else
constexpr int kLanes = 4, kAccumulators = 12;
#endif

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));
typedef uint16_t Halves __attribute__((vector_size(kLanes * 2)));

template <typename Vector>
inline Vector Load(const void* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

template <typename Vector>
inline void Store(void* to, Vector vector) {
  std::memcpy(to, &vector, sizeof vector);
}

// Past the caches, where the instruction set can; `to` starts on a whole vector.
template <typename Vector>
inline void Stream(void* to, Vector vector) {
#ifdef __AVX512F__
  if constexpr (sizeof vector == 64) return _mm512_stream_si512(static_cast<__m512i*>(to), (__m512i)vector);
#endif
#ifdef __AVX2__
  if constexpr (sizeof vector == 32) return _mm256_stream_si256(static_cast<__m256i*>(to), (__m256i)vector);
#endif
  Store(to, vector);
}

// Before another thread may read what was streamed.
inline void EndStreams() {
#ifdef __AVX2__
  _mm_sfence();
#endif
}

inline float FloatAt(const uint32_t* word) {
  float value;
  std::memcpy(&value, word, sizeof value);
  return value;
}

inline Words LoadHalves(const Bfloat16* from) { return __builtin_convertvector(Load<Halves>(from), Words); }

// To the nearest, ties to even; NaN stays NaN.
inline Halves Upper(Floats x) {
  const Words bits = (Words)x;
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return __builtin_convertvector(x == x ? rounded : (bits >> 16) | 0x40, Halves);
}

// How elements of type T enter the multiplication: as words of 32 bits, each with kPerWord consecutive elements along
// the depth. AlongColumns reads the words of kLanes columns of `b`, AlongDepth kLanes words of one row of `a`; At reads
// one word, of which `left` elements exist.
template <typename T>
struct Format;

template <>
struct Format<float> {
  static constexpr int kPerWord = 1;
  static Words AlongColumns(const float* from, int64_t) { return Load<Words>(from); }
  static Words AlongDepth(const float* from) { return Load<Words>(from); }
  static uint32_t At(const float* from, int64_t, int64_t) {
    uint32_t word;
    std::memcpy(&word, from, sizeof word);
    return word;
  }
  static Floats MultiplyAdd(const uint32_t* a, Words b, Floats sum) { return sum + FloatAt(a) * (Floats)b; }
  static Floats Rounded(Floats x) { return x; }
};

template <>
struct Format<Bfloat16> {
  static Halves Rounded(Floats x) { return Upper(x); }
#ifdef __AVX512BF16__
  static constexpr int kPerWord = 2;
  static Words AlongColumns(const Bfloat16* from, int64_t row) {
    return LoadHalves(from) | (LoadHalves(from + row) << 16);
  }
  static Words AlongDepth(const Bfloat16* from) { return Load<Words>(from); }
  static uint32_t At(const Bfloat16* from, int64_t step, int64_t left) {
    return from[0].bits | (left > 1 ? static_cast<uint32_t>(from[step].bits) << 16 : 0);
  }
  static Floats MultiplyAdd(const uint32_t* a, Words b, Floats sum) {
    const Words pair = Words{} + *a;
    return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pair, (__m512bh)b);
  }
#else
  static constexpr int kPerWord = 1;
  static Words AlongColumns(const Bfloat16* from, int64_t) { return LoadHalves(from) << 16; }
  static Words AlongDepth(const Bfloat16* from) { return LoadHalves(from) << 16; }
  static uint32_t At(const Bfloat16* from, int64_t, int64_t) { return static_cast<uint32_t>(from->bits) << 16; }
  static Floats MultiplyAdd(const uint32_t* a, Words b, Floats sum) { return sum + FloatAt(a) * (Floats)b; }
#endif
};

}  // namespace
}  // namespace slipway::SLIPWAY_ISA

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_SIMD_H_
