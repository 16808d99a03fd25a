/// LibTorch's stable C ABI, opened at run time. No PyTorch header is used and nothing is linked: the declarations below were
/// written for this project from the ABI's documentation, and every function is looked up by name in libtorch_cpu.so.
#ifndef CLIBTORCH_H
#define CLIBTORCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// An owned reference to a tensor.
typedef void *clibtorch_tensor;
/// A list that is passed to an operator.
typedef void *clibtorch_list;
/// A string that is passed to an operator.
typedef void *clibtorch_string;
/// One argument or result of an operator: an integer, the bits of a double, or a handle.
typedef uint64_t clibtorch_value;
/// Runs when the memory that was lent to a tensor is no longer needed.
typedef void (*clibtorch_deleter)(void *data, void *context);

/// What came of opening the library.
typedef enum {
    CLIBTORCH_OK = 0,
    /// The dynamic linker refused the file; the message is its own.
    CLIBTORCH_NOT_LOADED = 1,
    /// The file was opened but a required symbol is missing: a PyTorch before 2.10.
    CLIBTORCH_TOO_OLD = 2,
} clibtorch_load_status;

/// Opens libtorch_cpu.so at `path` and looks up the ABI. `message` receives a heap string (free it) when the result is not OK.
/// Not thread-safe: call once, under a lock.
clibtorch_load_status clibtorch_load(const char *path, char **message);

/// Opens another library of the same PyTorch (libtorch_cuda.so) so that its kernels register. Returns 0, or -1 and a message.
int clibtorch_load_extension(const char *path, char **message);

/// The library's version word, major << 56 | minor << 48 | patch << 40.
uint64_t clibtorch_version(void);

/// Calls the operator; the stack holds one word for each argument and receives the results. Returns 0 when it worked.
int32_t clibtorch_call(const char *name, const char *overload, clibtorch_value *stack);
/// PyTorch's message for the last failure on this thread, or NULL where the library is too old to hand it over (before 2.13).
const char *clibtorch_last_error(void);

int32_t clibtorch_tensor_retain(clibtorch_tensor tensor, clibtorch_tensor *result);
void clibtorch_tensor_release(clibtorch_tensor tensor);
int32_t clibtorch_tensor_dim(clibtorch_tensor tensor, int64_t *result);
int32_t clibtorch_tensor_sizes(clibtorch_tensor tensor, int64_t **result);
int32_t clibtorch_tensor_strides(clibtorch_tensor tensor, int64_t **result);
int32_t clibtorch_tensor_numel(clibtorch_tensor tensor, int64_t *result);
int32_t clibtorch_tensor_dtype(clibtorch_tensor tensor, int32_t *result);
int32_t clibtorch_tensor_device(clibtorch_tensor tensor, int32_t *type, int32_t *index);
int32_t clibtorch_tensor_data(clibtorch_tensor tensor, void **result);
int32_t clibtorch_tensor_empty(int64_t dim, const int64_t *sizes, const int64_t *strides, int32_t dtype, int32_t device_type,
                               int32_t device_index, clibtorch_tensor *result);
int32_t clibtorch_tensor_scalar(double value, clibtorch_tensor *result);
/// destination <- source, converting type and device.
int32_t clibtorch_tensor_copy(clibtorch_tensor destination, clibtorch_tensor source, bool non_blocking);
/// a - alpha * b. The one way to a scalar multiple in the stable ABI: its dispatcher takes no argument of type Scalar.
int32_t clibtorch_tensor_subtract(clibtorch_tensor a, clibtorch_tensor b, double alpha, clibtorch_tensor *result);

/// True where a tensor can be made over lent memory with a deleter (2.11 and later).
bool clibtorch_can_borrow(void);
int32_t clibtorch_tensor_borrow(void *data, int64_t dim, const int64_t *sizes, const int64_t *strides, int32_t dtype,
                                clibtorch_deleter deleter, void *context, clibtorch_tensor *result);

int32_t clibtorch_list_new(size_t capacity, clibtorch_list *result);
int32_t clibtorch_list_append(clibtorch_list list, clibtorch_value value);
int32_t clibtorch_list_count(clibtorch_list list, size_t *result);
int32_t clibtorch_list_get(clibtorch_list list, size_t index, clibtorch_value *result);
void clibtorch_list_release(clibtorch_list list);
int32_t clibtorch_string_new(const char *bytes, size_t length, clibtorch_string *result);
/// A present optional: a heap word that the callee frees.
int32_t clibtorch_optional_new(clibtorch_value value, clibtorch_value *result);

/// Codes of the running library: they are not part of the ABI's contract, only the functions that return them are.
/// `name` is the suffix of aoti_torch_dtype_*, aoti_torch_device_type_*, aoti_torch_memory_format_*; -1 when unknown.
int32_t clibtorch_dtype_code(const char *name);
int32_t clibtorch_device_code(const char *name);
int32_t clibtorch_memory_format_code(const char *name);
int32_t clibtorch_layout_strided(void);

uint32_t clibtorch_thread_count(void);

/// Free and total bytes of a CUDA device's memory; 0 when it worked.
int clibtorch_cuda_memory(int32_t device, size_t *free_bytes, size_t *total_bytes);
/// CUDA's status, 0 where the devices could be counted; -1 without a CUDA run time.
int32_t clibtorch_cuda_count(int32_t *count);
/// What a status of CUDA means; NULL without a CUDA run time.
const char *clibtorch_cuda_error(int32_t status);
/// 1000 times the major version and 10 times the minor one that the driver and the run time are for; left as they are where nobody knows.
void clibtorch_cuda_versions(int32_t *driver, int32_t *runtime);
/// An attribute of a device by CUDA's number for it; no context is made. 0 when it worked.
int clibtorch_cuda_attribute(int32_t device, int32_t attribute, int32_t *value);
/// The name and the memory of a device as the driver tells them; no context is made. 0 when it worked.
int clibtorch_cuda_describe(int32_t device, char *name, size_t length, size_t *total_bytes);
/// Waits for the device's queued work; 0 when it worked.
int clibtorch_cuda_synchronize(int32_t device);

#ifdef __cplusplus
}
#endif
#endif
