// The gated norm, forward and backward.
#include "harness.h"

namespace tfjs_mamba {
namespace {

constexpr float kEpsilon = 1e-5f;

struct GatedCase {
  int64_t rows, groups, width;  // rows of x, of groups of `width` channels
  bool gate, normBeforeGate;
  float scale;

  int64_t size() const { return rows * groups * width; }
  GatedNormProblem problem() const {
    GatedNormProblem p{};
    p.rows = rows * groups, p.width = width, p.groups = groups, p.normBeforeGate = normBeforeGate, p.epsilon = kEpsilon;
    return p;
  }
};

struct DeviceGatedNorm {
  Floats x, weight, z, dy;
  DeviceFloats xs, weights, zs, dys, y, dx, dWeight, dz;
  GatedNormForward forward{};
  GatedNormBackward backward{};
  int multiprocessors;
  DeviceFloats workspace;

  DeviceGatedNorm(Harness &h, const GatedCase &c)
      : x(h.random.normal(c.size(), c.scale)),
        weight(h.random.normal(c.groups * c.width, 0.5f, 1)),
        z(h.random.normal(c.gate ? c.size() : 0)),
        dy(h.random.normal(c.size())),
        xs(x), weights(weight), zs(z), dys(dy), y(x.size()), dx(x.size()), dWeight(weight.size()), dz(z.size()),
        multiprocessors(h.multiprocessors),
        workspace(cuda::gatedRmsNormGradWorkspace(c.problem(), multiprocessors)) {
    GatedNormProblem p = c.problem();
    p.x = xs.data, p.weight = weights.data, p.z = zs.orNull();
    static_cast<GatedNormProblem &>(forward) = static_cast<GatedNormProblem &>(backward) = p;
    forward.y = y.data, backward.dy = dys.data;
    backward.dx = dx.data, backward.dWeight = dWeight.data, backward.dz = dz.orNull();
  }
  const char *runForward(cudaStream_t stream) { return cuda::launchGatedRmsNorm(forward, stream); }
  const char *runBackward(cudaStream_t stream) {
    return cuda::launchGatedRmsNormGrad(backward, multiprocessors, workspace.data, stream);
  }
};

void testCase(Harness &h, const GatedCase &c) {
  DeviceGatedNorm norm(h, c);
  Doubles y(c.size()), dx(c.size()), dWeight(norm.weight.size(), 0), dz(norm.z.size());
  for (int64_t row = 0; row < c.rows * c.groups; ++row) {
    const int64_t at = row * c.width, channel = row % c.groups * c.width;
    const auto gate = [&](int64_t i) { return norm.z[at + i] * sigmoid64(norm.z[at + i]); };
    const auto slope = [&](int64_t i) {
      const double s = sigmoid64(norm.z[at + i]);
      return s * (1 + norm.z[at + i] * (1 - s));
    };
    const bool before = c.gate && !c.normBeforeGate, after = c.gate && c.normBeforeGate;
    const auto r = [&](int64_t i) { return norm.x[at + i] * (before ? gate(i) : 1); };
    const auto g = [&](int64_t i) { return norm.dy[at + i] * (after ? gate(i) : 1) * norm.weight[channel + i]; };
    double squares = 0, along = 0;
    for (int64_t i = 0; i < c.width; ++i) squares += r(i) * r(i), along += g(i) * r(i);
    const double meanSquare = squares / c.width + kEpsilon, inverse = 1 / std::sqrt(meanSquare);
    for (int64_t i = 0; i < c.width; ++i) {
      const double hat = r(i) * inverse, dr = (g(i) - hat * along / c.width * inverse) * inverse;
      y[at + i] = hat * norm.weight[channel + i] * (after ? gate(i) : 1);
      dx[at + i] = dr * (before ? gate(i) : 1);
      dWeight[channel + i] += norm.dy[at + i] * (after ? gate(i) : 1) * hat;
      if (before) dz[at + i] = dr * norm.x[at + i] * slope(i);
      if (after) dz[at + i] = norm.dy[at + i] * hat * norm.weight[channel + i] * slope(i);
    }
  }
  h.expect("gatedRmsNorm [" + std::to_string(c.rows) + "," + std::to_string(c.groups) + "x" + std::to_string(c.width) + "]" +
               (c.gate ? c.normBeforeGate ? " before the gate" : " after the gate" : ""),
           [&](cudaStream_t stream) -> const char * {
             const char *error = norm.runForward(stream);
             return error ? error : norm.runBackward(stream);
           },
           {{norm.y, y, kForward}, {norm.dx, dx, kGradient}, {norm.dWeight, dWeight, kGradient}, {norm.dz, dz, kGradient}});
}

}  // namespace

void testGatedRmsNorm(Harness &h) {
  for (int i = 0; i < 30; ++i)
    testCase(h, {h.random.integer(1, 70), h.random.integer(1, 4),
                 i % 4 == 0 ? h.random.integer(1, 20) : h.random.integer(1, 2000), h.random.flip(), h.random.flip(), 1});
  testCase(h, {1500, 1, 1536, true, false, 1});
  testCase(h, {3, 2, 13000, true, true, 1});  // wider than shared memory
  for (float scale : {1e-30f, 1e19f, 1e36f})
    for (bool before : {false, true}) testCase(h, {20, 2, 128, true, before, scale});
}

void timeGatedRmsNorm(Harness &h) {
  DeviceGatedNorm norm(h, {16384, 1, 1536, true, false, 1});
  const double row = 4.0 * norm.x.size();
  h.time("gated rms norm forward [16384,1536]", 3 * row, 0, [&](cudaStream_t stream) { return norm.runForward(stream); });
  h.time("gated rms norm backward [16384,1536]", 5 * row, 0, [&](cudaStream_t stream) { return norm.runBackward(stream); });
}

}  // namespace tfjs_mamba
