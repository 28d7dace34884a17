// What each op is asked to do: plain structs of sizes and pointers, the one language that the TensorFlow ops, the CPU
// kernels, the CUDA launchers and their tests share. No TensorFlow type and no SIMD type appears here.
//
// Everything is channels-last and, but for scans on a GPU, float32. A null pointer is an absent optional input, or an output
// nobody wants. Symbols are those of Gu & Dao, arXiv 2312.00752: B batch, L length, D channels, N states, G groups, K taps.
#pragma once

#include <cstdint>

namespace tfjs_mamba {

// Steps between two saved states. The backward pass recomputes the states of one chunk at a time, so that nothing of
// size B*L*D*N ever exists: the saved states take N/kChunk of the size of u.
constexpr int64_t kChunk = 32;

inline int64_t chunkCount(int64_t length) { return (length + kChunk - 1) / kChunk; }

// Sizes and forms.
struct ScanShape {
  int64_t batch, length, channels, states;
  int64_t groupsB, groupsC;   // channel d reads row floor(d * groups / D) of B or C
  bool constantB, constantC;  // [D,N] in place of [B,L,G,N]
  bool softplus;              // delta passes softplus after its bias is added
};

// T is what streams by, and its gradients: float, or on a GPU a type of 16 bits. All else is float32 whatever it is.
template <typename T>
struct ScanProblemOf : ScanShape {
  const T *u, *delta;         // [B,L,D]
  const float *A;             // [D,N]
  const T *B, *C;             // [B,L,G,N] or [D,N]
  const float *D;             // [D] or null
  const T *z;                 // [B,L,D] or null
  const float *deltaBias;     // [D] or null
  const float *initialState;  // [B,D,N] or null
  const int32_t *sequenceIds; // [B,L] or null; the state starts anew from zero wherever the id changes
};

template <typename T>
struct ScanForwardOf : ScanProblemOf<T> {
  T *y;                // [B,L,D]
  float *finalState;   // [B,D,N]
  float *chunkStates;  // [B,chunks,N,D]: the state each chunk starts from; null: do not keep. States before channels,
                       // so that a vector of channels is one load. On the CPU chunks are counted from where a document
                       // begins, and that which starts at t has slot t/kChunk, but for those that start from zero.
};

template <typename T>
struct ScanBackwardOf : ScanProblemOf<T> {
  const float *chunkStates;
  const T *dy;
  const float *dFinalState;
  T *du, *ddelta;
  float *dA;
  T *dB, *dC;
  float *dD;
  T *dz;
  float *ddeltaBias, *dInitialState;
};

using ScanProblem = ScanProblemOf<float>;
using ScanForward = ScanForwardOf<float>;
using ScanBackward = ScanBackwardOf<float>;

struct StateUpdate {
  int64_t batch, channels, states, groupsB, groupsC;
  bool constantB, constantC, softplus;
  const float *state;      // [B,D,N]
  const float *u, *delta;  // [B,D]
  const float *A, *B, *C;  // [D,N], [B,G,N] or [D,N]
  const float *D, *z, *deltaBias;
  float *y;         // [B,D]
  float *newState;  // [B,D,N]
};

// Mamba-2 has chunks of its own on the CPU, for there the states are many.
constexpr int64_t kSsdChunk = 64;

inline int64_t ssdChunkCount(int64_t length) { return (length + kSsdChunk - 1) / kSsdChunk; }

// Mamba-2's scan: one decay per head and position. B, C and the kept states are shared and laid out as in Mamba-1, but that
// heads take the place of channels where they choose their group. P: channels of a head.
struct SsdProblem {
  int64_t batch, length, heads, headDim, groups, states;
  bool softplus;
  float deltaMin, deltaMax;   // limits of delta after softplus
  int64_t skipWidth;          // values of D a head: 1 or P
  const float *u;             // [B,L,H,P]
  const float *delta;         // [B,L,H]
  const float *A;             // [H]
  const float *B, *C;         // [B,L,G,N]
  const float *D;             // [H,1] or [H,P], or null
  const float *z;             // [B,L,H,P] or null
  const float *deltaBias;     // [H] or null
  const float *initialState;  // [B,H,P,N] or null
};

struct SsdForward : SsdProblem {
  float *y;            // [B,L,H,P]
  float *finalState;   // [B,H,P,N]
  float *chunkStates;  // the state each chunk starts from, as the kernels lay it out; null: do not keep
};

struct SsdBackward : SsdProblem {
  const float *chunkStates;
  const float *dy, *dFinalState;
  float *du, *ddelta, *dA, *dB, *dC, *dD, *dz, *ddeltaBias, *dInitialState;
};

// One position: u, z and y are [B,H,P], delta [B,H], B and C [B,G,N], length is 1, and the initial state is always there.
struct SsdStep : SsdProblem {
  float *y;
  float *newState;  // [B,H,P,N]
};

struct ConvProblem {
  int64_t batch, length, channels, taps;
  bool silu;
  const float *x;             // [B,L,D]
  const float *weight;        // [D,K]
  const float *bias;          // [D] or null
  const float *initialState;  // [B,K-1,D] or null
  const int32_t *sequenceIds; // [B,L] or null; the window starts anew wherever the id changes
};

struct ConvForward : ConvProblem {
  float *y;           // [B,L,D]
  float *finalState;  // [B,K-1,D]: the last K-1 inputs
};

struct ConvBackward : ConvProblem {
  const float *dy, *dFinalState;
  float *dx, *dWeight, *dBias, *dInitialState;
};

struct NormForward {
  int64_t rows, width;
  float epsilon;
  const float *x, *weight, *residual;  // [rows,width], [width], [rows,width] or null
  float *y, *sum;                      // sum = x + residual, iff there is a residual
};

struct NormBackward {
  int64_t rows, width;
  float epsilon;
  const float *r, *weight, *dy, *dSum;  // r: what was normalised; dSum: the gradient of the returned sum, or null
  float *dr, *dWeight;
};

// r = x silu(z) normed, or x normed and then gated, over each of the groups of neighbours that a row is cut into.
struct GatedNormProblem {
  int64_t rows, width;  // rows of one group each: those of x times the groups, and channels of a group
  int64_t groups;
  bool normBeforeGate;
  float epsilon;
  const float *x, *weight, *z;  // [rows,width], [groups,width], [rows,width] or null
};

struct GatedNormForward : GatedNormProblem {
  float *y;
};

struct GatedNormBackward : GatedNormProblem {
  const float *dy;
  float *dx, *dWeight, *dz;
};

struct EntropyForward {
  int64_t rows, classes;
  int32_t ignore;
  const float *logits;
  const int32_t *labels;
  float *loss;          // [1], mean over the rows that count: whose label is a class, and not `ignore`
  float *logSumExp;     // [rows]
};

struct EntropyBackward {
  int64_t rows, classes;
  int32_t ignore;
  const float *logits, *logSumExp, *dLoss;
  const int32_t *labels;
  float *dLogits;
};

struct AdamWTensor {
  int64_t size;
  const float *param, *grad, *m, *v;
  float *newParam, *newM, *newV;
  float kept;  // 1 - learningRate * weightDecay
};

struct AdamWProblem {
  int64_t count;
  const AdamWTensor *tensors;
  float beta1, rest1, beta2, rest2;   // rest = 1 - beta, rounded once
  float epsilon, stepSize, rootScale; // learningRate / (1 - beta1^step), 1 / sqrt(1 - beta2^step)
  float gradScale;                    // the clip factor, 1 without clipping
};

struct NormTensor {
  int64_t size;
  const float *values;
};

// The Euclidean norm of all elements together.
struct GlobalNorm {
  int64_t count;
  const NormTensor *tensors;
  float *norm;
};

// y[r] = x[r] W (+ bias), for the few rows of decoding. W is [in,out], or [out,in] when transposed.
struct MatVec {
  int64_t rows, in, out;
  bool transposed;
  const float *x, *weight, *bias;
  float *y;
};

// y[r] = x[r] Wᵀ (+ bias) for the few rows of decoding. W is [out,in] integers of 8 bits, four to a word, and a scale for
// each 32 of them; or, without scales, bfloat16, two to a word.
struct PackedMatVec {
  int64_t rows, in, out;
  const float *x;
  const int32_t *words;        // [out,in/4] or [out,in/2]
  const float *scales, *bias;  // [out,in/32] or null, [out] or null
  float *y;
};

// A matrix that a whole model's step multiplies by, in the form in which it is held.
struct Matrix {
  const float *floats;   // [in,out], of a table [out,in]; null: it is packed
  const int32_t *words;  // as in PackedMatVec
  const float *scales;
};

// y = integer * scale, of groups of 32 integers; or, without scales, y = the bfloat16.
struct UnpackRows {
  int64_t size;
  const int32_t *words;
  const float *scales;
  float *y;
};

// One token through one whole pre-norm block: norm, in_proj, conv, x_proj, dt_proj, state update, gate, out_proj and
// the residual sum. The new states may be the old ones.
struct BlockStep {
  int64_t batch, model, inner, states, taps, rank;
  float epsilon;
  float mixerEpsilon;                // of the norms without weight on dt, B and C (FalconMamba); 0: there are none
  const float *x;                    // [B,model], the residual stream
  const float *convState, *ssmState; // [B,K-1,inner], [B,inner,N]
  const float *norm;                 // [model]
  Matrix inProj;                     // [model,2*inner]
  const float *inBias;               // or null
  const float *conv, *convBias;      // [inner,K], [inner] or null
  Matrix xProj, dtProj;              // [inner,rank+2N], [rank,inner]
  const float *dtBias;               // [inner]
  const float *ALog, *D;             // [inner,N], [inner]
  Matrix outProj;                    // [inner,model]
  const float *outBias;              // or null
  float *y, *newConvState, *newSsmState;  // y may be x
};

// The same for a block of Mamba-2, where in_proj gives z, then x, B and C, which the convolution takes together, then delta: norm,
// in_proj, conv, state update, gated norm, out_proj and the residual sum. Symbols as in SsdProblem; E = H P, W = E + 2 G N.
struct Mamba2Step {
  int64_t batch, model, heads, headDim, groups, states, taps;
  int64_t skipWidth;                 // values of D a head: 1 or P
  int64_t normGroups;                // of the gated norm
  bool normBeforeGate;
  float epsilon, deltaMin, deltaMax; // epsilon: of both norms
  const float *x;                    // [B,model], the residual stream
  const float *convState, *ssmState; // [B,K-1,W], [B,H,P,N]
  const float *norm;                 // [model]
  Matrix inProj;                     // [model,E+W+H]
  const float *inBias;               // or null
  const float *conv, *convBias;      // [W,K], [W] or null
  const float *dtBias, *ALog;        // [H]
  const float *D;                    // [H] or [E]
  const float *gatedNorm;            // [E]; null: the output is gated and not normalised
  Matrix outProj;                    // [E,model]
  const float *outBias;              // or null
  float *y, *newConvState, *newSsmState;  // y may be x

  int64_t inner() const { return heads * headDim; }
  int64_t convWidth() const { return inner() + 2 * groups * states; }
  int64_t projected() const { return inner() + convWidth() + heads; }
};

// The ends of a language model, for a token of each row: ids to vectors, and vectors to logits and the likeliest of them.
struct TokenEnds {
  int64_t rows, model, vocab;
  Matrix table;          // [vocab,model]
  Matrix head;           // [model,vocab]; without either form it is the table
  const float *norm;     // [model]
  float epsilon;
  const int32_t *ids;    // [rows], each a row of the table
  float *x;              // [rows,model]: what the ids give, then what the blocks made of it
  float *logits;         // [rows,vocab]
  int64_t count, known;  // how many of the likeliest, among the ids below `known`; 0: none are looked for
  float *top;            // [rows,1+2*count]: ln of the sum of all exp, ids by falling logit, equal ones by rising id, and their
                         // logits; -1 where there is no number to choose
};

// Random numbers by four generators side by side: low + scale * (k + 1/2) with k in [0, 2^23), or, with a table, normal ones. src/draw.ts
// says what they are.
struct Draw {
  int64_t size;
  uint32_t state[16];  // the first words of the four generators, then their second ones, and so on
  float low, scale;
  const float *table;  // the cubics of src/normal.ts, kCubics of four coefficients; or null
  float *values;
};

constexpr int64_t kCubics = 249;  // the last for the number 2^31 alone

}  // namespace tfjs_mamba
