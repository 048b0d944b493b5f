// A block of a matrix product after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008: rows
// of a are packed for the cache, b goes by in panels of columns, and tiles of c are summed in registers. b is not packed
// first: the first tile that reads a panel keeps what it read.
#include "custom_ops/matrix_mult/kernel.h"

#include <algorithm>

#include "custom_ops/matrix_mult/finish.h"
#include "custom_ops/matrix_mult/pack.h"
#include "custom_ops/matrix_mult/tile.h"

namespace slipway::SLIPWAY_ISA {
namespace {

constexpr int64_t kMaxColumns = 512;

// Packed, they and a panel of b stay in the second cache; the less deep they are, the more.
int64_t MaxRows(int64_t depth) {
  return kTileRows * std::clamp<int64_t>(8 * kDepth / std::max<int64_t>(depth, 1), 8, 16);
}

int64_t RoundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// Where the parts of the scratch lie; all start on a cache line.
struct Scratch {
  uint32_t* a;      // [rows, kRowStep]
  uint32_t* panel;  // [kDepth, kPanel]
  float* bias;      // [columns in whole panels]
  float* sums;      // [rows, columns in whole panels]: of the depth so far
};

int64_t ScratchBytes(int64_t rows, int64_t columns) {
  return 4 * (rows * kRowStep + kDepth * kPanel + (rows + 1) * RoundUp(columns, kPanel));
}

template <typename T>
class Block {
 public:
  Block(const Product<T>& product, Range rows, Range columns, void* scratch)
      : product_(product),
        rows_(rows),
        columns_(columns),
        row_count_(rows.end - rows.begin),
        sums_stride_(RoundUp(columns.end - columns.begin, kPanel)),
        tiles_((row_count_ + kTileRows - 1) / kTileRows),
        finish_(FinisherOf<T>(product.activation)) {
    scratch_.a = static_cast<uint32_t*>(scratch);
    scratch_.panel = scratch_.a + row_count_ * kRowStep;
    scratch_.bias = reinterpret_cast<float*>(scratch_.panel + kDepth * kPanel);
    scratch_.sums = scratch_.bias + sums_stride_;
  }

  void Compute() {
    WidenBias();
    // Cut evenly, and by the depth alone: the order of a sum depends on nothing else. A depth of 0 is one cut, too.
    const int64_t words = (product_.depth + kPerWord - 1) / kPerWord;
    const int64_t cuts = std::max<int64_t>(1, (words + kDepth - 1) / kDepth);
    const int64_t step = (words + cuts - 1) / cuts * kPerWord;
    for (int64_t cut = 0; cut < cuts; ++cut) {
      depth_ = {cut * step, std::min(product_.depth, (cut + 1) * step)};
      first_ = cut == 0;
      last_ = cut == cuts - 1;
      Pack(PartOf(product_.a.row_stride, product_.a.column_stride, product_.a.data, rows_), scratch_.a, kRowStep, 1);
      Columns();
    }
  }

 private:
  static constexpr int kPerWord = Format<T>::kPerWord;

  void WidenBias() {
    const int64_t count = columns_.end - columns_.begin;
    std::fill_n(scratch_.bias, sums_stride_, 0.0f);
    if (product_.bias == nullptr) return;
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t word = WideWord(product_.bias + columns_.begin + i);
      std::memcpy(scratch_.bias + i, &word, sizeof word);
    }
  }

  static uint32_t WideWord(const float* value) { return Format<float>::At(value, 0, 1); }
  static uint32_t WideWord(const Bfloat16* value) { return static_cast<uint32_t>(value->bits) << 16; }

  Part<T> PartOf(int64_t line_stride, int64_t depth_stride, const T* data, Range lines) const {
    return {data + lines.begin * line_stride + depth_.begin * depth_stride, line_stride, depth_stride,
            lines.end - lines.begin, depth_.end - depth_.begin};
  }

  // All columns of the block at one cut of the depth.
  void Columns() {
    const bool rows_lie = product_.b.column_stride == 1 && (depth_.end - depth_.begin) % kPerWord == 0;
    const int64_t wide = WideVectors(static_cast<int>(std::min<int64_t>(row_count_, kTileRows))) * kLanes;
    for (int64_t column = columns_.begin; column < columns_.end;) {
      const int64_t left = columns_.end - column;
      if (rows_lie && tiles_ == 1 && left >= wide) {
        Wide(column, wide);
        column += wide;
      } else {
        InPanel({column, column + std::min(left, kPanel)}, rows_lie && left >= kPanel);
        column += kPanel;
      }
    }
  }

  Rows<T> RowsOfB(int64_t column) const {
    return {product_.b.data + depth_.begin * product_.b.row_stride + column, product_.b.row_stride};
  }

  int64_t Words() const { return (depth_.end - depth_.begin + kPerWord - 1) / kPerWord; }

  void Wide(int64_t column, int64_t width) {
    alignas(64) float sums[kAccumulators * kLanes];
    kTiles<T>.wide[row_count_ - 1](scratch_.a, RowsOfB(column), Words(), nullptr, sums);
    Put(sums, width, rows_, {column, column + width});
  }

  void InPanel(Range columns, bool keep) {
    alignas(64) float sums[kAccumulators * kLanes];
    if (!keep) PackPanel(columns);
    for (int64_t tile = 0; tile < tiles_; ++tile) {
      const Range rows = {rows_.begin + row_count_ * tile / tiles_, rows_.begin + row_count_ * (tile + 1) / tiles_};
      const uint32_t* a = scratch_.a + (rows.begin - rows_.begin) * kRowStep;
      const int64_t count = rows.end - rows.begin;
      if (last_ && !product_.past_caches) PrefetchC(rows, columns.begin);
      if (keep && tile == 0) {
        kTiles<T>.keeping[count - 1](a, RowsOfB(columns.begin), Words(), scratch_.panel, sums);
      } else {
        kTiles<T>.from_panel[count - 1](a, {scratch_.panel}, Words(), nullptr, sums);
      }
      Put(sums, kPanel, rows, columns);
    }
  }

  // Where a tile of c goes is fetched while its sums are made.
  void PrefetchC(Range rows, int64_t column) const {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const T* c = product_.c + row * product_.c_stride + column;
      for (int v = 0; v < kPanelVectors; ++v) __builtin_prefetch(c + v * kLanes, 1);
    }
  }

  void PackPanel(Range columns) {
    const Part<T> part = PartOf(product_.b.column_stride, product_.b.row_stride, product_.b.data, columns);
    if (part.lines < kPanel) std::fill_n(scratch_.panel, Words() * kPanel, 0u);
    Pack(part, scratch_.panel, 1, kPanel);
  }

  // Adds a tile to what the depth before gave; at its end finishes it.
  void Put(float* tile, int64_t tile_stride, Range rows, Range columns) {
    const int64_t count = rows.end - rows.begin, left = columns.begin - columns_.begin;
    if (!first_ || !last_) {
      Add(tile, tile_stride, count, scratch_.sums + (rows.begin - rows_.begin) * sums_stride_ + left);
    }
    if (!last_) return;
    const int64_t at = rows.begin * product_.c_stride + columns.begin;
    finish_(tile, tile_stride, scratch_.bias + left, count, columns.end - columns.begin,
            {product_.c + at, product_.slope ? product_.slope + at : nullptr, product_.c_stride, product_.past_caches});
  }

  // To the sums, or where the depth ends, the sums to it.
  void Add(float* tile, int64_t tile_stride, int64_t rows, float* sums) {
    for (int64_t row = 0; row < rows; ++row, tile += tile_stride, sums += sums_stride_) {
      for (int64_t i = 0; i < tile_stride; i += kLanes) {
        const Floats added = first_ ? Load<Floats>(tile + i) : Load<Floats>(sums + i) + Load<Floats>(tile + i);
        Store(last_ ? tile + i : sums + i, added);
      }
    }
  }

  const Product<T>& product_;
  const Range rows_, columns_;
  const int64_t row_count_, sums_stride_, tiles_;
  const Finisher<T> finish_;
  Scratch scratch_;
  Range depth_;
  bool first_, last_;
};

template <typename T>
void ComputeBlock(const Product<T>& product, Range rows, Range columns, void* scratch) {
  Block<T>(product, rows, columns, scratch).Compute();
  if (product.past_caches) EndStreams();
}

}  // namespace

const MatrixMultKernels kMatrixMult = {
    ComputeBlock<float>, ComputeBlock<Bfloat16>, ScratchBytes, MaxRows, kMaxColumns, kTileRows, kPanel, kLanes};

}  // namespace slipway::SLIPWAY_ISA
