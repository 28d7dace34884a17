// Packed documents of one row, told apart by `ids` [L]; null: the row is one document.
#pragma once

#include <cstdint>

#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

SIMD_INLINE const int32_t *idsOfRow(const int32_t *ids, int64_t b, int64_t length) {
  return ids ? ids + b * length : nullptr;
}

// Where the document of position t ends, looking no further than `limit`.
SIMD_INLINE int64_t documentEnd(const int32_t *ids, int64_t t, int64_t limit) {
  if (!ids) return limit;
  int64_t end = t + 1;
  while (end < limit && ids[end] == ids[t]) ++end;
  return end;
}

// Where the document of position t begins, looking no further back than `limit`.
SIMD_INLINE int64_t documentBegin(const int32_t *ids, int64_t t, int64_t limit) {
  if (!ids) return limit;
  int64_t begin = t;
  while (begin > limit && ids[begin - 1] == ids[t]) --begin;
  return begin;
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
