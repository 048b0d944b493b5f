// Copies parts of a and b into words that lie as a tile reads them. For kernel.cc alone.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_PACK_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_PACK_H_

#include <algorithm>

#include "custom_ops/matrix_mult/simd.h"

namespace slipway::SLIPWAY_ISA {
namespace {

// Part of a factor, seen alike for both: lines (rows of a, columns of b), each as deep as the sum.
template <typename T>
struct Part {
  const T* data;
  int64_t line_stride, depth_stride;  // one of them is 1
  int64_t lines, depth;

  int64_t WordCount() const { return (depth + Format<T>::kPerWord - 1) / Format<T>::kPerWord; }
  bool LiesAlongDepth() const { return depth_stride == 1; }
  const T* At(int64_t line, int64_t word) const {
    return data + line * line_stride + word * Format<T>::kPerWord * depth_stride;
  }
  uint32_t WordAt(int64_t line, int64_t word) const {
    return Format<T>::At(At(line, word), depth_stride, depth - word * Format<T>::kPerWord);
  }
  // kLanes words, in the direction in which the elements lie.
  Words VectorAt(int64_t line, int64_t word) const {
    return LiesAlongDepth() ? Format<T>::AlongDepth(At(line, word))
                            : Format<T>::AlongColumns(At(line, word), depth_stride);
  }
};

// Rows become columns: halves change places, then quarters, down to single words.
template <int kHalf = kLanes / 2>
inline __attribute__((always_inline)) void Transpose(Words (&square)[kLanes]) {
  Words low{}, high{};
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    low[i] = i & kHalf ? kLanes + i - kHalf : i;
    high[i] = i & kHalf ? kLanes + i : i + kHalf;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & kHalf) continue;
    const Words upper = square[i], lower = square[i + kHalf];
    square[i] = __builtin_shuffle(upper, lower, low);
    square[i + kHalf] = __builtin_shuffle(upper, lower, high);
  }
  if constexpr (kHalf > 1) Transpose<kHalf / 2>(square);
}

// Packs words [words.begin, words.end) of lines [lines.begin, lines.end) one by one.
template <typename T>
void PackSingly(const Part<T>& part, Range lines, Range words, uint32_t* to, int64_t line_step, int64_t word_step) {
  for (int64_t line = lines.begin; line < lines.end; ++line) {
    for (int64_t word = words.begin; word < words.end; ++word) {
      to[line * line_step + word * word_step] = part.WordAt(line, word);
    }
  }
}

// The direction in which elements lie is that in which words are to lie.
template <typename T>
void PackStraight(const Part<T>& part, Range lines, Range words, uint32_t* to, int64_t line_step, int64_t word_step) {
  const bool along_depth = part.LiesAlongDepth();
  const int64_t line_hop = along_depth ? 1 : kLanes, word_hop = along_depth ? kLanes : 1;
  for (int64_t line = lines.begin; line < lines.end; line += line_hop) {
    for (int64_t word = words.begin; word < words.end; word += word_hop) {
      Store(to + line * line_step + word * word_step, part.VectorAt(line, word));
    }
  }
}

template <typename T>
void PackTransposed(const Part<T>& part, Range lines, Range words, uint32_t* to, int64_t line_step, int64_t word_step) {
  const int64_t read_line = part.LiesAlongDepth() ? 1 : 0, read_word = 1 - read_line;
  for (int64_t line = lines.begin; line < lines.end; line += kLanes) {
    for (int64_t word = words.begin; word < words.end; word += kLanes) {
      Words square[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) square[i] = part.VectorAt(line + i * read_line, word + i * read_word);
      Transpose(square);
      uint32_t* corner = to + line * line_step + word * word_step;
      const int64_t step = std::max(line_step, word_step);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) Store(corner + i * step, square[i]);
    }
  }
}

// to[line * line_step + word * word_step] = the word; one of the steps is 1.
template <typename T>
void Pack(const Part<T>& part, uint32_t* to, int64_t line_step, int64_t word_step) {
  const bool straight = part.LiesAlongDepth() == (word_step == 1);
  const int64_t whole_words = part.depth / Format<T>::kPerWord;
  int64_t lines = part.lines, words = whole_words;
  if (!straight || !part.LiesAlongDepth()) lines -= lines % kLanes;
  if (!straight || part.LiesAlongDepth()) words -= words % kLanes;
  if (straight) {
    PackStraight(part, {0, lines}, {0, words}, to, line_step, word_step);
  } else {
    PackTransposed(part, {0, lines}, {0, words}, to, line_step, word_step);
  }
  PackSingly(part, {0, lines}, {words, part.WordCount()}, to, line_step, word_step);
  PackSingly(part, {lines, part.lines}, {0, part.WordCount()}, to, line_step, word_step);
}

}  // namespace
}  // namespace slipway::SLIPWAY_ISA

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_PACK_H_
