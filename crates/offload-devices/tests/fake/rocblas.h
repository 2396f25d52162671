// What rocBLAS and rocSOLVER share: a handle, whose workspace every routine takes what it needs of.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
typedef int R;
typedef struct { void *stream; char *work; size_t size; int owned, query; size_t asked; } Handle;
// What a routine begins with: 0 when it may compute in so much workspace, else what it answers.
R fake_work(Handle *h, size_t bytes);
