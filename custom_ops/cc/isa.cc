#include "custom_ops/cc/isa.h"

#include <cstdlib>
#include <cstring>

namespace slipway {
namespace {

Isa OfThisProcessor() {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return Isa::kAvx512Bf16;
  if (avx512) return Isa::kAvx512;
  return avx2 ? Isa::kAvx2 : Isa::kPortable;
}

Isa Allowed() {
  const char* name = std::getenv("SLIPWAY_OPS_ISA");
  if (name == nullptr) return Isa::kAvx512Bf16;
  if (std::strcmp(name, "portable") == 0) return Isa::kPortable;
  if (std::strcmp(name, "avx2") == 0) return Isa::kAvx2;
  if (std::strcmp(name, "avx512") == 0) return Isa::kAvx512;
  return Isa::kAvx512Bf16;
}

}  // namespace

Isa BestIsa() {
  static const Isa best = Allowed() < OfThisProcessor() ? Allowed() : OfThisProcessor();
  return best;
}

}  // namespace slipway
