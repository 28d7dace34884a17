// The norm, forward and backward.
#include "harness.h"

namespace tfjs_mamba {
namespace {

constexpr float kEpsilon = 1e-5f;

struct DeviceNorm {
  Floats x, weight, residual, dy, dSum;
  DeviceFloats xs, weights, residuals, dys, dSums, r, y, sum, dr, dWeight;
  NormForward forward{};
  NormBackward backward{};
  int multiprocessors;
  DeviceFloats workspace;

  // `scale`: of x and the residual.
  DeviceNorm(Harness &h, int64_t rows, int64_t width, bool withResidual, float scale = 1)
      : x(h.random.normal(rows * width, scale)),
        weight(h.random.normal(width, 0.5f, 1)),
        residual(h.random.normal(withResidual ? x.size() : 0, scale)),
        dy(h.random.normal(x.size())),
        dSum(h.random.normal(residual.size())),
        xs(x),
        weights(weight),
        residuals(residual),
        dys(dy),
        dSums(dSum),
        r(summed()),
        y(x.size()),
        sum(residual.size()),
        dr(x.size()),
        dWeight(width),
        multiprocessors(h.multiprocessors),
        workspace(cuda::rmsNormGradWorkspace({rows, width, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr},
                                             multiprocessors)) {
    forward = {rows, width, kEpsilon, xs.data, weights.data, residuals.orNull(), y.data, sum.orNull()};
    backward = {rows, width, kEpsilon, r.data, weights.data, dys.data, dSums.orNull(), dr.data, dWeight.data};
  }
  Floats summed() const {
    Floats r = x;
    for (size_t i = 0; i < residual.size(); ++i) r[i] += residual[i];
    return r;
  }
  const char *runForward(cudaStream_t stream) { return cuda::launchRmsNorm(forward, stream); }
  const char *runBackward(cudaStream_t stream) {
    return cuda::launchRmsNormGrad(backward, multiprocessors, workspace.data, stream);
  }
};

void testCase(Harness &h, int64_t rows, int64_t width, bool withResidual, float scale = 1) {
  DeviceNorm norm(h, rows, width, withResidual, scale);
  const Floats r = norm.summed();
  Doubles y(r.size()), sum(norm.residual.size()), dr(r.size()), dWeight(width, 0);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = row * width;
    double squares = 0, along = 0;
    for (int64_t c = 0; c < width; ++c) {
      squares += static_cast<double>(r[at + c]) * r[at + c];
      along += static_cast<double>(norm.dy[at + c]) * norm.weight[c] * r[at + c];
    }
    const double meanSquare = squares / width + kEpsilon, inverse = 1 / std::sqrt(meanSquare);
    for (int64_t c = 0; c < width; ++c) {
      y[at + c] = r[at + c] * inverse * norm.weight[c];
      dr[at + c] =
          (static_cast<double>(norm.dy[at + c]) * norm.weight[c] - r[at + c] * along / width / meanSquare) * inverse;
      if (withResidual) sum[at + c] = r[at + c], dr[at + c] += norm.dSum[at + c];
      dWeight[c] += norm.dy[at + c] * (r[at + c] * inverse);
    }
  }
  h.expect(
      "rmsNorm [" + std::to_string(rows) + "," + std::to_string(width) + "]",
      [&](cudaStream_t stream) -> const char * {
        const char *error = norm.runForward(stream);
        return error ? error : norm.runBackward(stream);
      },
      {{norm.y, y, kForward}, {norm.sum, sum, kForward}, {norm.dr, dr, kGradient}, {norm.dWeight, dWeight, kGradient}});
}

}  // namespace

void testRmsNorm(Harness &h) {
  for (int i = 0; i < 40; ++i)
    testCase(h, h.random.integer(1, 90), i % 4 == 0 ? h.random.integer(1, 20) : h.random.integer(1, 3000),
             h.random.flip());
  testCase(h, 3001, 768, true);
  testCase(h, 5, 50004, true);  // wider than shared memory
  // Squares that leave float32; without the residual, whose gradient would hide the norm's.
  for (float scale : {1e-30f, 1e19f, 1e30f, 3e37f})
    for (int64_t width : {7, 1536}) testCase(h, 20, width, false, scale);
}

void timeRmsNorm(Harness &h) {
  DeviceNorm norm(h, 16384, 1536, true);
  const double row = 4.0 * norm.x.size();
  h.time("rms norm + residual forward [16384,1536]", 4 * row, 0,
         [&](cudaStream_t stream) { return norm.runForward(stream); });
  h.time("rms norm + residual backward [16384,1536]", 4 * row, 0,
         [&](cudaStream_t stream) { return norm.runBackward(stream); });
}

}  // namespace tfjs_mamba
