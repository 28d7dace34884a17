// TensorFlow's own headers first, then our declarations of the same functions: one that differs does not compile.
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"

#include "../src/tf/tensorflow_c.h"
