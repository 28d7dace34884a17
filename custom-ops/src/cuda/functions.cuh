// What every kernel computes with: exponentials and what is made of them, elements in memory and in vectors of four.
//
// Kernels take the type of the elements they stream as a parameter T and compute in float32: float, and for scans also the two
// types of 16 bits. States, weights and sums stay float32 whatever T is.
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

// max(x, 0) + log(1 + e) with e = exp(-|x|), the logarithm by a polynomial over 0 to 1, relative error 2^-22. The library's
// log1pf(expf(x)) costs about as much as the sixteen states it is for, and of a scan the special function unit has most to do.
__device__ inline float softplus(float x) {
  const float e = exp2Fast(-kLog2e * fabsf(x));
  float r = 0.005232688f;
  r = r * e - 0.029505214f;
  r = r * e + 0.07822591f;
  r = r * e - 0.13663243f;
  r = r * e + 0.19106005f;
  r = r * e - 0.24842982f;
  r = r * e + 0.33319098f;
  r = r * e - 0.49999493f;
  r = r * e + 0.99999994f;
  return x > 20.0f ? x : fmaxf(x, 0.0f) + e * r;
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
