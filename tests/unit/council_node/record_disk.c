/* Loaded into a process (LD_PRELOAD) to record, in order, everything it asks of the disk below one folder, and to
   fail from the FAIL_AT-th request on as a full disk does. One record: "op offset length name\n" and the data.

   C create, W write, S sync of a file, D sync of the folder, U unlink, T truncate. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int record_fd = -1;
static long asked = 0;
static long fail_at = -1;
static char folder[4096];

__attribute__((constructor)) static void start(void) {
  const char *where = getenv("RECORD_FOLDER"), *log = getenv("RECORD_LOG"), *fail = getenv("FAIL_AT");
  if (!where || !log) return;
  snprintf(folder, sizeof folder, "%s", where);
  if (fail) fail_at = atol(fail);
  record_fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

/* The name below the folder, "" for the folder itself, NULL for anything else. */
static const char *name_of(const char *path) {
  size_t n = strlen(folder);
  if (record_fd < 0 || n == 0 || strncmp(path, folder, n) != 0) return NULL;
  if (path[n] == 0) return "";
  return path[n] == '/' ? path + n + 1 : NULL;
}

static const char *name_of_fd(int fd, char *path, size_t size) {
  char link[64];
  if (record_fd < 0 || fd == record_fd) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, size - 1);
  if (n <= 0) return NULL;
  path[n] = 0;
  return name_of(path);
}

static int refused(void) {
  if (fail_at < 0 || asked++ < fail_at) return 0;
  errno = ENOSPC;
  return 1;
}

static void put(char op, long offset, long length, const char *name, const void *data) {
  char head[5000];
  int n = snprintf(head, sizeof head, "%c %ld %ld %s\n", op, offset, length, name);
  syscall(SYS_write, record_fd, head, n);
  if (data) syscall(SYS_write, record_fd, data, length);
}

static ssize_t recorded_write(int fd, const void *data, size_t length, off_t offset, int at) {
  char path[4096];
  const char *name = name_of_fd(fd, path, sizeof path);
  if (name) {
    if (refused()) return -1;
    put('W', at ? offset : lseek(fd, 0, SEEK_CUR), (long)length, name, data);
  }
  return at ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
}

ssize_t write(int fd, const void *data, size_t length) { return recorded_write(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t o) { return recorded_write(fd, data, length, o, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t o) { return recorded_write(fd, data, length, o, 1); }

static int recorded_sync(int fd) {
  char path[4096];
  const char *name = name_of_fd(fd, path, sizeof path);
  if (name) {
    if (refused()) return -1;
    put(name[0] ? 'S' : 'D', 0, 0, name, NULL);
  }
  return 0; /* what is kept is worked out from the record, so the real disk need not be waited for */
}

int fsync(int fd) { return recorded_sync(fd); }
int fdatasync(int fd) { return recorded_sync(fd); }

static int recorded_truncate(int fd, off_t length) {
  char path[4096];
  const char *name = name_of_fd(fd, path, sizeof path);
  if (name) {
    if (refused()) return -1;
    put('T', 0, (long)length, name, NULL);
  }
  return (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) { return recorded_truncate(fd, length); }
int ftruncate64(int fd, off_t length) { return recorded_truncate(fd, length); }

int unlink(const char *path) {
  const char *name = name_of(path);
  if (name) put('U', 0, 0, name, NULL);
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static int recorded_open(const char *path, int flags, mode_t mode) {
  const char *name = flags & O_CREAT ? name_of(path) : NULL;
  int fresh = name && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (fresh && fd >= 0) put('C', 0, 0, name, NULL);
  return fd;
}

static mode_t mode_of(int flags, va_list rest) { return flags & O_CREAT ? (mode_t)va_arg(rest, int) : 0; }

#define OPENING(symbol)                        \
  int symbol(const char *path, int flags, ...) { \
    va_list rest;                              \
    va_start(rest, flags);                     \
    mode_t mode = mode_of(flags, rest);        \
    va_end(rest);                              \
    return recorded_open(path, flags, mode);   \
  }

OPENING(open)
OPENING(open64)
