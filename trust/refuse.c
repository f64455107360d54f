/* Lets the system refuse one thing, as a disk or its server would: load it with LD_PRELOAD, then set
   REFUSE="CALL NUMBER PART". CALL is open, read, map, write, sync, close or rename, NUMBER the error's, PART is in the
   file's path.

   A `map` succeeds, but of pages beyond the file's end: as if it were cut short at once, the reader is sent SIGBUS.

   A `close` that fails, once, is a network disk telling that it could not keep what was written: as on Linux, descriptors
   of the file that were open by then hear it from fsync, later ones do not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MANY 4096
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char owed[MANY];
static int told;

static int refused(const char *call, const char *path) {
  char wanted[16], part[512];
  int number;
  const char *order = getenv("REFUSE");
  if (!order || !path || sscanf(order, "%15s %d %511s", wanted, &number, part) != 3) return 0;
  return !strcmp(wanted, call) && strstr(path, part) ? number : 0;
}

static int refused_of(const char *call, int fd) {
  char link[64], path[4096];
  if (!getenv("REFUSE")) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return refused(call, path);
}

#define REFUSE(number) { int n = (number); if (n) { errno = n; return -1; } }
#define OPEN(name) int name(const char *path, int flags, ...) { \
  va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
  REFUSE(refused("open", path)); return NEXT(name)(path, flags, mode); }
#define OPENAT(name) int name(int at, const char *path, int flags, ...) { \
  va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
  REFUSE(refused("open", path)); return NEXT(name)(at, path, flags, mode); }
#define SYNC(name) int name(int fd) { \
  if (fd >= 0 && fd < MANY && owed[fd]) { owed[fd] = 0; errno = EDQUOT; return -1; } \
  REFUSE(refused_of("sync", fd)); return NEXT(name)(fd); }

OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64) SYNC(fsync) SYNC(fdatasync)

#define READ(name) ssize_t name(int fd, void *data, size_t count, off_t at) { \
  REFUSE(refused_of("read", fd)); return NEXT(name)(fd, data, count, at); }
#define MAP(name) void *name(void *to, size_t length, int rights, int flags, int fd, off_t at) { \
  if (fd >= 0 && refused_of("map", fd)) at += (off_t)1 << 40; \
  return NEXT(name)(to, length, rights, flags, fd, at); }

READ(pread) READ(pread64) MAP(mmap) MAP(mmap64)

ssize_t read(int fd, void *data, size_t count) {
  REFUSE(refused_of("read", fd));
  return NEXT(read)(fd, data, count);
}

ssize_t write(int fd, const void *data, size_t count) {
  REFUSE(refused_of("write", fd));
  return NEXT(write)(fd, data, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REFUSE(refused_of("write", fd));
  return NEXT(writev)(fd, parts, count);
}

static int writes(int fd) { return fcntl(fd, F_GETFL) & (O_WRONLY | O_RDWR); }

int close(int fd) {
  int number = !told && writes(fd) ? refused_of("close", fd) : 0;
  struct stat own, other;
  if (number && (fstat(fd, &own) || !own.st_size)) number = 0;
  if (number) {
    told = 1;
    for (int i = 0; i < MANY; i++)
      if (i != fd && fstat(i, &other) == 0 && other.st_dev == own.st_dev && other.st_ino == own.st_ino) owed[i] = 1;
  }
  if (fd >= 0 && fd < MANY) owed[fd] = 0;
  int done = NEXT(close)(fd);
  REFUSE(number);
  return done;
}

int rename(const char *from, const char *to) {
  REFUSE(refused("rename", to));
  return NEXT(rename)(from, to);
}
