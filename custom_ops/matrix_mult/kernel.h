// The arithmetic of MatrixMult on one block of one matrix product. Knows nothing of TensorFlow, so it can be compiled
// with any flags.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_KERNEL_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_KERNEL_H_

#include <cstdint>

#include "custom_ops/cc/halves.h"
#include "custom_ops/cc/isa.h"

namespace slipway {

enum class Activation { kNone, kRelu, kGelu };

// A matrix as it lies in memory: element (i, j) is data[i * row_stride + j * column_stride]; one of the strides is 1.
template <typename T>
struct Matrix {
  const T* data;
  int64_t row_stride, column_stride;
};

// c = activation(a b + bias), with the sum over `depth` products.
template <typename T>
struct Product {
  Matrix<T> a;
  Matrix<T> b;
  const T* bias;  // one for each column of c; nullptr: none
  Activation activation;
  int64_t depth;
  T* c;
  T* slope;  // where the derivative of gelu goes; nullptr: nowhere
  int64_t c_stride;  // of a row of c and of slope; the columns are contiguous
  bool past_caches;  // whether c and slope are too large for them
};

struct Range {
  int64_t begin, end;
};

struct MatrixMultKernels {
  // Computes c[rows, columns] alone. The value of an element does not depend on the block that it is computed in.
  // `scratch` holds scratch_bytes(...) and starts on 64 bytes.
  void (*float32)(const Product<float>& product, Range rows, Range columns, void* scratch);
  void (*bfloat16)(const Product<Bfloat16>& product, Range rows, Range columns, void* scratch);
  int64_t (*scratch_bytes)(int64_t rows, int64_t columns);
  // The largest block that keeps what it reuses in cache, and the steps in which blocks are best cut.
  int64_t (*max_rows)(int64_t depth);
  int64_t max_columns, row_step, column_step;
  // Products added in a cycle, at best.
  int64_t per_cycle;
};
SLIPWAY_DECLARE_KERNELS(MatrixMultKernels, MatrixMult)

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_KERNEL_H_
