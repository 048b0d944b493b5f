// Which instruction set this processor has. Each kernel.cc is compiled once for each of them, into a namespace of that
// name, and the best one that the processor has is called.
#ifndef SLIPWAY_CUSTOM_OPS_CC_ISA_H_
#define SLIPWAY_CUSTOM_OPS_CC_ISA_H_

namespace slipway {

// From the least to the most, each with all of those before.
enum class Isa { kPortable, kAvx2, kAvx512, kAvx512Bf16 };

// The best that processor and operating system have, but none above what the environment variable SLIPWAY_OPS_ISA names
// (portable, avx2, avx512 or avx512_bf16). Found once.
Isa BestIsa();

}  // namespace slipway

// In kernel.h, declares `const Type& Name()`, the best of the tables of functions that kernel.cc defines as
// `const Type kName = {...};` in `namespace SLIPWAY_ISA`.
#define SLIPWAY_DECLARE_KERNELS(Type, Name)                \
  namespace portable { extern const Type k##Name; }        \
  namespace avx2 { extern const Type k##Name; }            \
  namespace avx512 { extern const Type k##Name; }          \
  namespace avx512_bf16 { extern const Type k##Name; }     \
  inline const Type& Name() {                              \
    switch (BestIsa()) {                                   \
      case Isa::kAvx512Bf16: return avx512_bf16::k##Name;  \
      case Isa::kAvx512: return avx512::k##Name;           \
      case Isa::kAvx2: return avx2::k##Name;               \
      case Isa::kPortable: break;                          \
    }                                                      \
    return portable::k##Name;                              \
  }

#endif  // SLIPWAY_CUSTOM_OPS_CC_ISA_H_
