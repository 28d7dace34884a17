// Large tensors on pages of 2 MB, which TensorFlow's allocator does not ask for. Both functions are advice: where the
// system has no such pages, or none left, they do nothing. `never` in /sys/kernel/mm/transparent_hugepage/enabled stops
// the first only; Linux moves pages on a program's wish whatever stands there, unless prctl(PR_SET_THP_DISABLE) is set.
#pragma once

#include <cstddef>

namespace tfjs_mamba {

// For memory that nothing has written to yet: the kernel fetches and clears each page at the first write, which costs
// a fifth in pages of 2 MB.
void preferHugePages(void *data, size_t bytes);

// For a weight that is streamed for every token, at a seventh more bandwidth from pages of 2 MB. It stays at its address
// and is moved once, beside the work that goes on: the kernel takes some 0.5 s for 500 MB, and who waited for it would
// see the first token late.
void moveToHugePages(const void *data, size_t bytes);

}  // namespace tfjs_mamba
