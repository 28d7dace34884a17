// Large tensors on pages of 2 MB, which TensorFlow's allocator does not ask for. Both functions are advice: where the
// system has none, or has other orders, they do nothing.
#pragma once

#include <cstddef>

namespace tfjs_mamba {

// For memory that nothing has written to yet: the kernel fetches and clears each page at the first write, which costs
// a fifth in pages of 2 MB.
void preferHugePages(void *data, size_t bytes);

// For a weight that is streamed for every token, at a seventh more bandwidth from pages of 2 MB; it stays at its address.
// Done once for an address; the kernel copies it, 0.3 s a gigabyte.
void moveToHugePages(const void *data, size_t bytes);

}  // namespace tfjs_mamba
