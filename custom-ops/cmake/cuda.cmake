# The CUDA kernels and their registration for DEVICE_GPU, a library of its own: tfjs_mamba_cuda.so. It needs TensorFlow's
# C++ API, for the stream that kernels must run on, so unlike the CPU kernels it is tied to the TensorFlow it is built for.
#
# Machine code for Ampere and Hopper, and PTX for what comes after. The CUDA runtime is linked in, so that the library
# loads into a TensorFlow without CUDA too.
set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
enable_language(CUDA)
if(NOT EXISTS ${TENSORFLOW_DIR}/include/tensorflow/core/framework/op_kernel.h)
  message(FATAL_ERROR "WITH_CUDA needs TENSORFLOW_DIR, a folder with include/tensorflow and the libraries of a TensorFlow")
endif()

file(GLOB CUDA_FILES CONFIGURE_DEPENDS src/cuda/*.cu)
add_library(cuda_kernels OBJECT ${CUDA_FILES})
target_compile_options(cuda_kernels PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
set_target_properties(cuda_kernels PROPERTIES CUDA_STANDARD 17 POSITION_INDEPENDENT_CODE ON)

file(GLOB CUDA_OP_FILES CONFIGURE_DEPENDS src/cuda/tf/*.cc src/arguments/*.cc)
add_library(tfjs_mamba_cuda MODULE ${CUDA_OP_FILES} $<TARGET_OBJECTS:cuda_kernels>)
target_include_directories(tfjs_mamba_cuda SYSTEM PRIVATE ${TENSORFLOW_DIR}/include
                           ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_compile_definitions(tfjs_mamba_cuda PRIVATE EIGEN_MAX_ALIGN_BYTES=64 _GLIBCXX_USE_CXX11_ABI=1 NDEBUG)
target_compile_options(tfjs_mamba_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-w>)
target_link_directories(tfjs_mamba_cuda PRIVATE ${TENSORFLOW_DIR})
target_link_libraries(tfjs_mamba_cuda PRIVATE -l:libtensorflow_framework.so.2 cudart_static rt ${CMAKE_DL_LIBS} Threads::Threads)
target_link_directories(tfjs_mamba_cuda PRIVATE ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES})
set_target_properties(tfjs_mamba_cuda PROPERTIES PREFIX "" LINKER_LANGUAGE CXX CXX_VISIBILITY_PRESET default)
