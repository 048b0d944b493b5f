// MatrixMult on a GPU: a product by cuBLASLt (cublas_lt.cc), and what cuBLASLt does not do of that which follows it
// (kernel.cu.cc). Pointers are to the memory of the GPU, a stream is a cudaStream_t, and results are there when it has
// come so far. Knows nothing of TensorFlow.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_GPU_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_GPU_H_

#include <cstdint>
#include <functional>
#include <string>

#include "custom_ops/cc/halves.h"
#include "custom_ops/matrix_mult/kernel.h"

namespace slipway {

enum class GpuType { kFloat, kBfloat16, kHalf };

// c[i] = epilogue(a[i] b[i] + bias) for i < batches, all row by row; sums are of float32.
struct GpuProduct {
  GpuType type, c_type;  // of a, b and bias; of c, this too or kFloat
  int64_t rows, columns, depth;
  bool transpose_a, transpose_b;
  bool gelu;          // by tanh
  bool tensor_float;  // whether factors of float32 may be rounded to 10 bits of mantissa
  int64_t batches, a_step, b_step;  // steps in elements from a matrix to the next; 0: all are the same
  const void *a, *b;
  const void* bias;  // of c_type, one for each column; nullptr: none
  void* c;
};

// Makes room on the GPU for so many bytes, until the stream has come past what is started next; nullptr: there is none.
using Allocate = std::function<void*(int64_t bytes)>;

enum class Started { kYes, kNoAlgorithm, kFailed };

// `gpu` is any address that stands for the GPU that is current. With kFailed, `error` says why.
Started MultiplyOnGpu(const void* gpu, void* stream, const GpuProduct& product, const Allocate& allocate,
                      std::string* error);

// c = activation(z + bias), where z may be c, and the slope of gelu. nullptr for z: zeros; for bias and slope: none.
// Returns null, or why nothing was started.
template <typename Z, typename T>
const char* FinishOnGpu(void* stream, const Z* z, const T* bias, Activation activation, int64_t rows, int64_t columns,
                        T* c, T* slope);

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_GPU_H_
