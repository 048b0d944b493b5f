// What follows a product on a GPU and cuBLASLt does not do: a relu by which NaN stays NaN, and gelu with its slope.
#include <cuda_runtime.h>

#include <cstdint>

#include "custom_ops/cc/halves_on_gpu.h"
#include "custom_ops/matrix_mult/gpu.h"

namespace slipway {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 1 << 16;

// A thread reads an element of z before it writes that of c, which may be the same.
template <typename Z, typename T>
__global__ void FinishKernel(const Z* z, const T* bias, Activation activation, int64_t count, int64_t columns, T* c,
                             T* slope) {
  constexpr float kLinear = 0.7978845608028654f, kCubic = kLinear * 0.044715f;  // sqrt(2 / pi)
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    float x = z ? ToFloat(z[i]) : 0.0f;
    if (bias) x += ToFloat(bias[i % columns]);
    if (activation == Activation::kRelu) x = x < 0.0f ? 0.0f : x;
    if (activation == Activation::kGelu) {
      const float tanh = tanhf(x * (kLinear + kCubic * x * x));
      if (slope) {
        Store(0.5f * (1.0f + tanh) + 0.5f * x * (1.0f - tanh * tanh) * (kLinear + 3.0f * kCubic * x * x), &slope[i]);
      }
      x *= 0.5f * (1.0f + tanh);
    }
    Store(x, &c[i]);
  }
}

}  // namespace

template <typename Z, typename T>
const char* FinishOnGpu(void* stream, const Z* z, const T* bias, Activation activation, int64_t rows, int64_t columns,
                        T* c, T* slope) {
  const int64_t count = rows * columns, blocks = (count + kThreads - 1) / kThreads;
  FinishKernel<<<static_cast<int>(blocks < kMaxBlocks ? blocks : kMaxBlocks), kThreads, 0,
                 static_cast<cudaStream_t>(stream)>>>(z, bias, activation, count, columns, c, slope);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

#define INSTANTIATE(Z, T)                                                                                       \
  template const char* FinishOnGpu(void*, const Z*, const T*, Activation, int64_t, int64_t, T*, T*);
INSTANTIATE(float, float)
INSTANTIATE(float, Bfloat16)
INSTANTIATE(float, Half)
INSTANTIATE(Bfloat16, Bfloat16)
INSTANTIATE(Half, Half)

}  // namespace slipway
