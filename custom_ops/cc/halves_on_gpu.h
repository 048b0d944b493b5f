// To float and back, in kernels for GPUs: for nvcc alone. Rounds to the nearest, ties to even.
#ifndef SLIPWAY_CUSTOM_OPS_CC_HALVES_ON_GPU_H_
#define SLIPWAY_CUSTOM_OPS_CC_HALVES_ON_GPU_H_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "custom_ops/cc/halves.h"

namespace slipway {

inline __device__ float ToFloat(float value) { return value; }
inline __device__ float ToFloat(Bfloat16 value) { return __uint_as_float(static_cast<unsigned>(value.bits) << 16); }
inline __device__ float ToFloat(Half value) { return __half2float(__ushort_as_half(value.bits)); }

inline __device__ void Store(float value, float* to) { *to = value; }
inline __device__ void Store(float value, Bfloat16* to) { to->bits = __bfloat16_as_ushort(__float2bfloat16_rn(value)); }
inline __device__ void Store(float value, Half* to) { to->bits = __half_as_ushort(__float2half_rn(value)); }

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_CC_HALVES_ON_GPU_H_
