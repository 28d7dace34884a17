// What every kernel computes with: exponentials and what is made of them, elements in memory and in vectors of four.
//
// Kernels take the type of the elements they stream as a parameter T and compute in float32. Float is what is built;
// another type needs no more than a launcher that instantiates with it. States, weights and sums stay float32 whatever
// T is.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace tfjs_mamba {
namespace cuda {

constexpr float kLog2e = 1.44269504088896341f;

// 2^x in one instruction of the special function unit, relative error 2^-22. Exactly 1 at 0.
__device__ inline float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float sigmoid(float x) { return __fdividef(1.0f, 1.0f + exp2Fast(-kLog2e * x)); }
__device__ inline float silu(float x) { return x * sigmoid(x); }

// The derivative of silu.
__device__ inline float siluGradient(float x) {
  const float s = sigmoid(x);
  return s * (1.0f + x * (1.0f - s));
}

// As on the CPU (vector_math.h): max(x, 0) + 2 atanh(e / (2 + e)) with e = exp(-|x|). The library's log1pf(expf(x))
// costs about as much as the sixteen states it is for.
__device__ inline float softplus(float x) {
  const float e = exp2Fast(-kLog2e * fabsf(x)), s = __fdividef(e, 2.0f + e), q = s * s;
  float r = 0.24413069f;
  r = r * q + 0.2139325f;
  r = r * q + 0.28620723f;
  r = r * q + 0.39998692f;
  r = r * q + 0.6666668f;
  r = r * q + 2.0f;
  return x > 20.0f ? x : fmaxf(x, 0.0f) + s * r;
}

// V neighbouring elements in registers, one load or store of V * sizeof(T) bytes.
template <int V>
struct Few {
  float v[V];
  __device__ float &operator[](int i) { return v[i]; }
  __device__ float operator[](int i) const { return v[i]; }
};

template <typename T, int V>
struct alignas(V * sizeof(T)) Packed {
  T v[V];
};

template <int V, typename T>
__device__ inline Few<V> read(const T *from) {
  const Packed<T, V> packed = *reinterpret_cast<const Packed<T, V> *>(from);
  Few<V> few;
#pragma unroll
  for (int i = 0; i < V; ++i) few[i] = static_cast<float>(packed.v[i]);
  return few;
}

template <int V, typename T>
__device__ inline void write(T *to, const Few<V> &few) {
  Packed<T, V> packed;
#pragma unroll
  for (int i = 0; i < V; ++i) packed.v[i] = static_cast<T>(few[i]);
  *reinterpret_cast<Packed<T, V> *>(to) = packed;
}

// Whether rows of `width` elements at these addresses can be read four at a time; null is an absent input.
template <typename... T>
__host__ __device__ bool inFours(int64_t width, const T *...rows) {
  return width % 4 == 0 && (... && (reinterpret_cast<uintptr_t>(rows) % (4 * sizeof(T)) == 0));
}

inline unsigned blocksFor(int64_t items, int64_t each) { return static_cast<unsigned>((items + each - 1) / each); }

inline const char *lastError() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace cuda
}  // namespace tfjs_mamba
