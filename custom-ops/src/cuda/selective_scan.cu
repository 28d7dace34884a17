// The selective scan, forward, of float32; and what does not depend on the type of its elements: how time is cut, and sizes.
#include <algorithm>
#include <cmath>

#include "selective_scan.cuh"

namespace tfjs_mamba {
namespace cuda {

template const char *launchSelectiveScan(const ScanForward &, const Pieces &, float *, void *);

namespace {

// Cycles of a step of all the warps of a scheduler, `load` of them on average, with 16 states a channel. A scheduler holds four
// warps of the output pass at once; a single one waits for itself, and what is left over after full rounds runs alone.
double outputStep(double load) {
  const double full = std::floor(load / 4), rest = load - 4 * full;
  return 690 * full + (rest > 0 ? std::clamp(100 + 210 * rest, 300.0, 690.0) : 0);
}
double firstStep(double load) { return std::max(230.0, 150 + 165 * load); }
// After a first pass, blocks that do not fill one round lie unevenly, and take as long as if they did.
double laterStep(double load) { return outputStep(load > 1 ? std::max(load, 4.0) : load); }

// The same backward, where a scheduler holds two warps.
double backwardStep(double load) {
  const int most = static_cast<int>(std::ceil(load));
  return 470 * (0.3 + most + (most % 2 == 1 ? 0.45 : 0));
}

}  // namespace

// The number of pieces that is likely to take least. Cutting costs a first pass over all but one piece, two more launches, and for each
// piece its beginning in both passes and its turn in stringing them together. Fitted to an H200 (bench/NOTES.md).
Pieces cutTime(const ScanShape &p, int multiprocessors, bool backward) {
  const double warps = static_cast<double>(Grid(p).blocks() * p.batch) / (4 * multiprocessors);
  const double work = static_cast<double>(p.states) / 16;
  const int64_t chunks = savedStates(p.length);
  Pieces best{1, chunks * kSteps};
  double least = 0;
  for (int64_t count = 1; count <= chunks && count <= 128; ++count) {
    const int64_t each = (chunks + count - 1) / count;
    if ((chunks + each - 1) / each != count) continue;
    const double load = warps * static_cast<double>(count), before = load - warps;
    const double steps = static_cast<double>(each * kSteps);
    const double passes = backward ? (steps + 6) * backwardStep(load) * (1 + 0.7 * before / load)
                                   : (steps + 10) * (count > 1 ? firstStep(before) + laterStep(load) : outputStep(load));
    const double cost = work * passes + (count > 1 ? 10000 + 250 * work * static_cast<double>(count) : 0);
    if (count == 1 || cost < least) least = cost, best = {count, each * kSteps};
  }
  return best;
}

// A tile of states for every block of every slice, and the sum of its steps.
size_t scanWorkspace(const ScanShape &p, const Pieces &pieces) {
  return static_cast<size_t>(p.batch * pieces.count * (stateFloats(p) + p.channels));
}

// Tiles of whole quarters and whole blocks.
int64_t stateFloats(const ScanShape &p) {
  int64_t each = 1;
  while (each * kShare < p.states) each *= 2;
  return Grid(p).blocks() * 32 * kShare * each;
}

}  // namespace cuda
}  // namespace tfjs_mamba
