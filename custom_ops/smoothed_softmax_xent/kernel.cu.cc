// SmoothedSoftmaxXent and its gradient on a GPU: a block of threads a row. Sums are taken in an order that depends only
// on the number of classes and where the row lies, without atomics, so that results repeat bit by bit.
#include <cuda_runtime.h>

#include <cstdint>
#include <limits>

#include "custom_ops/cc/halves_on_gpu.h"
#include "custom_ops/smoothed_softmax_xent/kernel.h"

namespace slipway {
namespace {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int64_t kMaxThreads = 1024;
constexpr int64_t kMaxBlocks = 1 << 20;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// What a thread loads or stores at once.
template <typename T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / sizeof(T);
  T values[kSize];
};

template <typename T>
__device__ int64_t Misalignment(const T* address) {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(address) / sizeof(T) % Pack<T>::kSize);
}

// Shares a row among the threads of the block and calls `visit(index, values)` with what stands from `index` on: an
// array as long as a pack, or of one value before the first whole pack and after the last.
template <typename T, typename Visit>
__device__ void ForEachPack(const T* row, int64_t classes, Visit visit) {
  constexpr int kSize = Pack<T>::kSize;
  const int64_t to_first = (kSize - Misalignment(row)) % kSize;
  const int64_t head = to_first < classes ? to_first : classes;
  const int64_t packs = (classes - head) / kSize, tail = head + packs * kSize;
  for (int64_t i = threadIdx.x; i < head + classes - tail; i += blockDim.x) {
    const int64_t index = i < head ? i : tail + i - head;
    const float value[1] = {ToFloat(row[index])};
    visit(index, value);
  }
  for (int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
    const Pack<T> pack = reinterpret_cast<const Pack<T>*>(row + head)[i];
    float values[kSize];
#pragma unroll
    for (int j = 0; j < kSize; ++j) values[j] = ToFloat(pack.values[j]);
    visit(head + i * kSize, values);
  }
}

template <typename T, int kCount>
__device__ void StoreAll(const float (&values)[kCount], T* to) {
  Pack<T> pack;
#pragma unroll
  for (int j = 0; j < kCount; ++j) Store(values[j], &pack.values[j]);
  if (kCount == Pack<T>::kSize && Misalignment(to) == 0) {
    *reinterpret_cast<Pack<T>*>(to) = pack;
  } else {
#pragma unroll
    for (int j = 0; j < kCount; ++j) to[j] = pack.values[j];
  }
}

// Over a part of a row (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
struct Sums {
  float maximum = -kInfinity;
  float exponential = 0;  // sum of exp(logit - Shift())
  float relative = 0;     // sum of (logit - reference)

  // The maximum, but finite while all logits are -inf, since -inf - -inf is NaN.
  __device__ float Shift() const { return fmaxf(maximum, kLowest); }

  __device__ void Raise(float to) {
    const float before = Shift();
    maximum = fmaxf(maximum, to);
    exponential *= expf(before - Shift());
  }
};

__device__ Sums Join(Sums left, Sums right) {
  left.Raise(right.maximum);
  right.Raise(left.maximum);
  left.exponential += right.exponential;
  left.relative += right.relative;
  return left;
}

// Of the warp's lanes; right in lane 0.
__device__ Sums JoinWarp(Sums sums) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    Sums other;
    other.maximum = __shfl_down_sync(kAllLanes, sums.maximum, distance);
    other.exponential = __shfl_down_sync(kAllLanes, sums.exponential, distance);
    other.relative = __shfl_down_sync(kAllLanes, sums.relative, distance);
    sums = Join(sums, other);
  }
  return sums;
}

// Of the block's threads, whole warps; right in thread 0. All threads call it.
__device__ Sums JoinBlock(Sums sums) {
  __shared__ float of_warps[3][kWarp];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  sums = JoinWarp(sums);
  if (lane == 0) {
    of_warps[0][warp] = sums.maximum;
    of_warps[1][warp] = sums.exponential;
    of_warps[2][warp] = sums.relative;
  }
  __syncthreads();
  if (warp == 0) {
    sums = Sums();
    if (lane < blockDim.x / kWarp) {
      sums.maximum = of_warps[0][lane];
      sums.exponential = of_warps[1][lane];
      sums.relative = of_warps[2][lane];
    }
    sums = JoinWarp(sums);
  }
  __syncthreads();  // before the next row writes of_warps
  return sums;
}

template <typename T>
__device__ Sums SumsOf(const T* row, int64_t classes, float reference) {
  Sums sums;
  ForEachPack(row, classes, [&](int64_t, const auto& values) {
    float largest = -kInfinity;
    for (float value : values) largest = fmaxf(largest, value);
    if (largest > sums.maximum) sums.Raise(largest);
    const float shift = sums.Shift();
    for (float value : values) {
      sums.exponential += expf(value - shift);
      sums.relative += value - reference;
    }
  });
  return JoinBlock(sums);
}

enum class LabelIs { kClass, kIgnored, kWrong };

template <typename T, typename Label>
__device__ LabelIs Judge(const SmoothedSoftmaxXentBatch<T, Label>& batch, int64_t label) {
  if (batch.options.ignores && label == batch.options.ignore_index) return LabelIs::kIgnored;
  return label >= 0 && label < batch.classes ? LabelIs::kClass : LabelIs::kWrong;
}

template <typename T, typename Label>
__global__ void LossKernel(SmoothedSoftmaxXentBatch<T, Label> batch, float* loss, float* maximum, float* sum) {
  const int64_t classes = batch.classes;
  const float smoothing = batch.options.label_smoothing, z_loss = batch.options.z_loss;
  for (int64_t row = blockIdx.x; row < batch.rows; row += gridDim.x) {
    const int64_t label = batch.labels[row];
    const LabelIs judged = Judge(batch, label);
    if (judged != LabelIs::kClass) {
      if (threadIdx.x == 0) loss[row] = maximum[row] = sum[row] = judged == LabelIs::kIgnored ? 0.0f : kNan;
      continue;
    }
    const T* logits = batch.logits + row * classes;
    const float of_label = ToFloat(logits[label]), reference = isfinite(of_label) ? of_label : 0.0f;
    const Sums sums = SumsOf(logits, classes, reference);
    if (threadIdx.x != 0) continue;
    const float exponential = sums.maximum == -kInfinity ? kNan : sums.exponential;
    const double largest = sums.maximum, log_sum = log(static_cast<double>(exponential));
    double result = log_sum;
    // What has no share has no say: an infinite logit must not turn 0 * inf into NaN.
    if (smoothing < 1) result -= (1.0 - smoothing) * (of_label - largest);
    if (smoothing > 0) result -= smoothing * (sums.relative / static_cast<double>(classes) + (reference - largest));
    if (z_loss != 0) result += z_loss * (largest + log_sum) * (largest + log_sum);
    loss[row] = static_cast<float>(result);
    maximum[row] = sums.maximum;
    sum[row] = exponential;
  }
}

// `gradient` may be the memory of the logits: each thread reads what it then writes, and nothing else.
template <typename T, typename Label>
__global__ void GradientKernel(SmoothedSoftmaxXentBatch<T, Label> batch, const float* maximum, const float* sum,
                               const float* d_loss, T* gradient) {
  const int64_t classes = batch.classes;
  const float smoothing = batch.options.label_smoothing, z_loss = batch.options.z_loss;
  for (int64_t row = blockIdx.x; row < batch.rows; row += gridDim.x) {
    const int64_t label = batch.labels[row];
    const LabelIs judged = Judge(batch, label);
    const float largest = maximum[row], weight = d_loss[row];
    const float scale = weight * (1.0f + 2.0f * z_loss * (largest + logf(sum[row]))) / sum[row];
    const float shared = weight * smoothing / static_cast<float>(classes), of_label = weight * (1.0f - smoothing);
    T* to = gradient + row * classes;
    ForEachPack(batch.logits + row * classes, classes, [&](int64_t index, const auto& values) {
      constexpr int kCount = sizeof(values) / sizeof(values[0]);
      float results[kCount];
#pragma unroll
      for (int j = 0; j < kCount; ++j) {
        results[j] = expf(values[j] - largest) * scale - shared - (index + j == label ? of_label : 0.0f);
        if (judged != LabelIs::kClass) results[j] = judged == LabelIs::kIgnored ? 0.0f : kNan;
      }
      StoreAll(results, to + index);
    });
  }
}

// Whole warps, as many as have a pack to read; a block reads longer rows in several goes.
template <typename T>
int Threads(int64_t classes) {
  const int64_t packs = (classes + Pack<T>::kSize - 1) / Pack<T>::kSize;
  const int64_t warps = (packs + kWarp - 1) / kWarp * kWarp;
  return static_cast<int>(warps < kMaxThreads ? warps : kMaxThreads);
}

int Blocks(int64_t rows) { return static_cast<int>(rows < kMaxBlocks ? rows : kMaxBlocks); }

const char* WhyNotStarted() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace

template <typename T, typename Label>
const char* SmoothedSoftmaxXentLossOnGpu(void* stream, const SmoothedSoftmaxXentBatch<T, Label>& batch, float* loss,
                                         float* maximum, float* sum) {
  if (batch.rows == 0) return nullptr;
  LossKernel<<<Blocks(batch.rows), Threads<T>(batch.classes), 0, static_cast<cudaStream_t>(stream)>>>(batch, loss,
                                                                                                     maximum, sum);
  return WhyNotStarted();
}

template <typename T, typename Label>
const char* SmoothedSoftmaxXentGradientOnGpu(void* stream, const SmoothedSoftmaxXentBatch<T, Label>& batch,
                                             const float* maximum, const float* sum, const float* d_loss, T* gradient) {
  if (batch.rows == 0) return nullptr;
  GradientKernel<<<Blocks(batch.rows), Threads<T>(batch.classes), 0, static_cast<cudaStream_t>(stream)>>>(
      batch, maximum, sum, d_loss, gradient);
  return WhyNotStarted();
}

#define INSTANTIATE(T, Label)                                                                                      \
  template const char* SmoothedSoftmaxXentLossOnGpu(void*, const SmoothedSoftmaxXentBatch<T, Label>&, float*,      \
                                                    float*, float*);                                               \
  template const char* SmoothedSoftmaxXentGradientOnGpu(void*, const SmoothedSoftmaxXentBatch<T, Label>&,          \
                                                        const float*, const float*, const float*, T*);
INSTANTIATE(float, int32_t)
INSTANTIATE(float, int64_t)
INSTANTIATE(Bfloat16, int32_t)
INSTANTIATE(Bfloat16, int64_t)
INSTANTIATE(Half, int32_t)
INSTANTIATE(Half, int64_t)

}  // namespace slipway
