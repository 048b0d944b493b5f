// The innermost loop: a tile of c as sums in registers. For kernel.cc alone.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_TILE_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_TILE_H_

#include <utility>

#include "custom_ops/matrix_mult/simd.h"

namespace slipway::SLIPWAY_ISA {
namespace {

// Words of the depth that are summed before the sums are put aside: so rounding grows with their number and that of
// the rests, not with the depth; and what is packed stays in cache.
constexpr int64_t kDepth = 1024;
// From one row of packed a to the next; the odd number of cache lines keeps rows out of each other's way.
constexpr int64_t kRowStep = kDepth + 16;
// Columns of a packed panel of b, in vectors.
constexpr int kPanelVectors = 2;
constexpr int64_t kPanel = kPanelVectors * kLanes;
constexpr int kTileRows = kAccumulators / kPanelVectors;
// So many words before it is read a row of b is fetched: memory takes as long as their products.
constexpr int64_t kAhead = 32;

// Vectors in a row of a tile that reads b where it lies and only once: with few rows, more, or the processor would wait
// for each sum.
constexpr int WideVectors(int rows) { return rows * 8 <= kAccumulators ? 8 : rows * 4 <= kAccumulators ? 4 : 2; }

// What a tile reads of b: a panel of words, or rows of elements as they lie.
struct Panel {
  const uint32_t* words;
  Words At(int64_t word, int vector) const { return Load<Words>(words + word * kPanel + vector * kLanes); }
  void Prefetch(int64_t, int64_t, int) const {}
};
template <typename T>
struct Rows {
  const T* elements;
  int64_t stride;
  const T* AddressOf(int64_t word, int vector) const {
    return elements + word * Format<T>::kPerWord * stride + vector * kLanes;
  }
  Words At(int64_t word, int vector) const { return Format<T>::AlongColumns(AddressOf(word, vector), stride); }
  // Rows lie too far apart for the processor to foresee the next. After the last come the first of the columns beside.
  void Prefetch(int64_t word, int64_t words, int vectors) const {
    const bool beside = word + kAhead >= words;
    const T* next = AddressOf(word + kAhead - beside * words, beside * vectors);
    for (int row = 0; row < Format<T>::kPerWord; ++row) {
      for (int v = 0; v < vectors; ++v) __builtin_prefetch(next + row * stride + v * kLanes);
    }
  }
};

// Writes into `sums` [kRows, kVectors * kLanes] the products of rows of packed `a` with columns of `b`, over `words` of
// the depth; with kKeep also what it read of b into `panel`, for the tiles below.
template <typename T, typename Source, int kRows, int kVectors, bool kKeep>
void Tile(const uint32_t* a, Source b, int64_t words, uint32_t* panel, float* sums) {
  Floats sum[kRows][kVectors] = {};
  for (int64_t word = 0; word < words; ++word) {
    Words columns[kVectors];
    b.Prefetch(word, words, kVectors);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      columns[v] = b.At(word, v);
      if (kKeep) Store(panel + word * kPanel + v * kLanes, columns[v]);
    }
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sum[row][v] = Format<T>::MultiplyAdd(a + row * kRowStep + word, columns[v], sum[row][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(sums + (row * kVectors + v) * kLanes, sum[row][v]);
  }
}

// Tiles of 1 to kTileRows rows, each in three kinds.
template <typename T>
struct Tiles {
  void (*from_panel[kTileRows])(const uint32_t*, Panel, int64_t, uint32_t*, float*);
  void (*keeping[kTileRows])(const uint32_t*, Rows<T>, int64_t, uint32_t*, float*);
  void (*wide[kTileRows])(const uint32_t*, Rows<T>, int64_t, uint32_t*, float*);
};

template <typename T, int... kRow>
constexpr Tiles<T> MakeTiles(std::integer_sequence<int, kRow...>) {
  return {{Tile<T, Panel, kRow + 1, kPanelVectors, false>...},
          {Tile<T, Rows<T>, kRow + 1, kPanelVectors, true>...},
          {Tile<T, Rows<T>, kRow + 1, WideVectors(kRow + 1), false>...}};
}

template <typename T>
constexpr Tiles<T> kTiles = MakeTiles<T>(std::make_integer_sequence<int, kTileRows>());

}  // namespace
}  // namespace slipway::SLIPWAY_ISA

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_TILE_H_
