// The vector type of the instruction set that this translation unit is compiled for.
//
// Every kernel file is compiled once per instruction set (see CMakeLists.txt), each time with SIMD_LEVEL naming the
// namespace; dispatch.cc picks one at load time. GCC and clang vector extensions give one source for SSE2, AVX2,
// AVX-512 and NEON; intrinsics appear only where there is an instruction that the extensions, or GCC, cannot say.
//
// Nothing from the standard library that is a template or inline may be *instantiated* here: the linker would keep one
// copy for all levels, perhaps the one with AVX-512 in it.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace tfjs_mamba {
namespace SIMD_LEVEL {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t IVec __attribute__((vector_size(kLanes * 4)));
typedef float UnalignedVec __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

// The number of each lane.
#if defined(__AVX512F__)
constexpr IVec kLane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
constexpr IVec kLane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
constexpr IVec kLane = {0, 1, 2, 3};
#endif

#define SIMD_INLINE static inline __attribute__((always_inline))

SIMD_INLINE Vec load(const float *p) { return *reinterpret_cast<const UnalignedVec *>(p); }
SIMD_INLINE void store(float *p, Vec v) { *reinterpret_cast<UnalignedVec *>(p) = v; }
SIMD_INLINE Vec splat(float x) { return x - Vec{}; }
SIMD_INLINE IVec asInt(Vec v) { return (IVec)v; }
SIMD_INLINE Vec asFloat(IVec v) { return (Vec)v; }
SIMD_INLINE Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
SIMD_INLINE Vec minimum(Vec a, Vec b) { return a < b ? a : b; }
SIMD_INLINE Vec absolute(Vec v) { return asFloat(asInt(v) & 0x7fffffff); }

// The first n lanes; the others read as zero and are not written.
SIMD_INLINE Vec loadFirst(const float *p, int64_t n) {
  if (n >= kLanes) return load(p);
  Vec v{};
  std::memcpy(&v, p, n * sizeof(float));
  return v;
}
SIMD_INLINE void storeFirst(float *p, Vec v, int64_t n) {
  if (n >= kLanes) return store(p, v);
  std::memcpy(p, &v, n * sizeof(float));
}

// A number of vectors or states as a type, for a lambda that is to be compiled once for each.
template <int S>
struct Size {
  static constexpr int value = S;
};

// Pairwise, so that the order of the sum does not depend on how the compiler sees the vector.
SIMD_INLINE float sum(Vec v) {
  float lane[kLanes];
  store(lane, v);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  return lane[0];
}
SIMD_INLINE float largest(Vec v) {
  float m = v[0];
  for (int i = 1; i < kLanes; ++i) m = v[i] > m ? v[i] : m;
  return m;
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
