// The op TfjsMambaDraw.
#include "../arguments/draw.h"

#include "ops.h"

namespace tfjs_mamba {
namespace {

// Not on huge pages: for half a gigabyte at once the kernel may have to move other pages out of the way, which was seen to take 0.8 s.
void draw(DrawShape p, CpuCall &call) {
  p.values = call.plainOutput(0, p.shape);
  cpuKernels().draw(p);
}

}  // namespace

void registerDrawOps() {
  registerCpuOp<DrawOp, draw>(
      {{"state: int32", "spread: float", "shape: int32"}, {"values: float"}, {}, TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
