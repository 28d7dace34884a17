// AdamW and the global norm over lists of tensors.
#include <memory>

#include "harness.h"

namespace tfjs_mamba {
namespace {

// All tensors of a kind in one array, as far apart as `sizes` says; so that some are aligned to four floats and some
// are not.
struct DeviceList {
  std::vector<int64_t> sizes;
  int64_t total = 0;
  Floats param, grad, m, v, kept;
  DeviceFloats params, grads, ms, vs, newParams, newMs, newVs, gradScale, norm;
  std::vector<AdamWTensor> tensors;
  std::vector<NormTensor> normTensors;
  AdamWProblem p{};
  std::unique_ptr<DeviceFloats> workspace;

  static int64_t sum(const std::vector<int64_t> &sizes) {
    int64_t sum = 0;
    for (int64_t size : sizes) sum += size;
    return sum;
  }
  static Floats squared(Floats v) {
    for (float &x : v) x *= x;
    return v;
  }
  DeviceList(Harness &h, const std::vector<int64_t> &sizes, float clip)
      : sizes(sizes),
        total(sum(sizes)),
        param(h.random.normal(total)),
        grad(h.random.normal(total)),
        m(h.random.normal(total, 0.1f)),
        v(squared(h.random.normal(total))),
        params(param),
        grads(grad),
        ms(m),
        vs(v),
        newParams(total),
        newMs(total),
        newVs(total),
        gradScale(Floats{clip}),
        norm(1) {
    int64_t at = 0;
    for (size_t i = 0; i < sizes.size(); at += sizes[i++]) {
      kept.push_back(i % 2 ? 1.0f : 0.9997f);
      tensors.push_back({sizes[i], params.data + at, grads.data + at, ms.data + at, vs.data + at, newParams.data + at,
                         newMs.data + at, newVs.data + at, kept.back()});
      normTensors.push_back({sizes[i], grads.data + at});
    }
    p = {static_cast<int64_t>(sizes.size()), tensors.data(), 0.9f, 0.1f, 0.95f, 0.05f, 1e-8f, 3e-3f, 1.02f, 0};
    workspace = std::make_unique<DeviceFloats>(cuda::globalNormWorkspace(normProblem()));
  }
  GlobalNorm normProblem() const { return {static_cast<int64_t>(sizes.size()), normTensors.data(), norm.data}; }
  const char *runAdamW(cudaStream_t stream) { return cuda::launchAdamW(p, gradScale.data, stream); }
  const char *runNorm(cudaStream_t stream) { return cuda::launchGlobalNorm(normProblem(), workspace->data, stream); }
};

void testCase(Harness &h, const std::vector<int64_t> &sizes) {
  const float clip = 0.37f;
  DeviceList list(h, sizes, clip);
  Doubles param, m, v, norm{0};
  for (size_t i = 0, at = 0; i < sizes.size(); ++i)
    for (int64_t end = at + sizes[i]; static_cast<int64_t>(at) < end; ++at) {
      const double g = static_cast<double>(list.grad[at]) * clip;
      norm[0] += static_cast<double>(list.grad[at]) * list.grad[at];
      m.push_back(list.m[at] * static_cast<double>(list.p.beta1) + g * list.p.rest1);
      v.push_back(list.v[at] * static_cast<double>(list.p.beta2) + g * g * list.p.rest2);
      param.push_back(list.param[at] * static_cast<double>(list.kept[i]) -
                      list.p.stepSize * m.back() / (std::sqrt(v.back()) * list.p.rootScale + list.p.epsilon));
    }
  norm[0] = std::sqrt(norm[0]);
  const std::string name = " " + std::to_string(sizes.size()) + " tensors, " + std::to_string(list.total) + " weights";
  h.expect("adamW" + name, [&](cudaStream_t stream) { return list.runAdamW(stream); },
           {{list.newParams, param, kForward}, {list.newMs, m, kForward}, {list.newVs, v, kForward}});
  h.expect("globalNorm" + name, [&](cudaStream_t stream) { return list.runNorm(stream); },
           {{list.norm, norm, kForward}});
}

}  // namespace

void testAdamW(Harness &h) {
  for (int i = 0; i < 12; ++i) {
    std::vector<int64_t> sizes(h.random.integer(1, 130));
    for (int64_t &size : sizes) size = h.random.integer(0, i % 3 ? 300 : 12000);
    sizes[0] += 1;  // not all empty
    testCase(h, sizes);
  }
}

void timeAdamW(Harness &h) {
  // The weights of a model of the mamba-130m shape.
  std::vector<int64_t> sizes{50280 * 768, 768};
  for (int layer = 0; layer < 24; ++layer)
    for (int64_t size : {768, 768 * 3072, 1536 * 4, 1536, 1536 * 80, 48 * 1536, 1536, 1536 * 16, 1536, 1536 * 768})
      sizes.push_back(size);
  DeviceList list(h, sizes, 1);
  h.time("AdamW, the 130m shape", 7 * 4.0 * list.total, 0, [&](cudaStream_t stream) { return list.runAdamW(stream); });
  h.time("global norm, the 130m shape", 4.0 * list.total, 0, [&](cudaStream_t stream) { return list.runNorm(stream); });
}

}  // namespace tfjs_mamba
