// A block's step on the CPU, of either mixer.
#pragma once

#include "../problem.h"

namespace tfjs_mamba {

// Moves weights that are about to be streamed, for every token, to huge pages.
void prepareMatrix(const Matrix &w, int64_t in, int64_t out);
void prepareWeights(const BlockStep &p);
void prepareWeights(const Mamba2Step &p);

void runBlock(const BlockStep &p);
void runBlock(const Mamba2Step &p);

}  // namespace tfjs_mamba
