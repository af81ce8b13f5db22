/* Starts compiled programs for the runner, by vfork: what fork.py does, without copying Python.
 *
 * usage: spawner CONTROL_FD SHARED_FD FILTER_FD UID LANDLOCK_FD DROP_CAPABILITIES PID_NAMESPACE_FD
 * FILTER_FD holds two seccomp programs (judged, session), each after its length as a uint32.
 * Requests and replies have the layout of fork.py.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_REQUEST = 170000, MAX_STRINGS = 4096, MAX_FDS = 16 };

struct __attribute__((packed)) request {
  uint16_t kind, flags;
  uint32_t nargs, nenv;
  int64_t cpu, stack, file, nofile, nproc, data;
};

struct __attribute__((packed)) reply {
  int32_t status, error;
  int64_t user_us, system_us, peak_kb;
};

struct config {
  long uid;
  int landlock, drop;
  struct sock_fprog filters[2];
};

static char buffer[MAX_REQUEST];
static char *strings[MAX_STRINGS + 4];
static volatile int exec_error;

/* Before the program runs: a negative errno tells the runner that the slot is at fault. */
static void fail(void) {
  exec_error = errno ? -errno : -EINVAL;
  _exit(126);
}

static void limit(int kind, int64_t soft, int64_t hard) {
  struct rlimit value = {(rlim_t)soft, (rlim_t)hard};
  if (soft >= 0 && setrlimit(kind, &value) != 0) fail();
}

static void drop_capabilities(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0);
  for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) {
  }
  prctl(PR_SET_SECUREBITS, 0x3f, 0, 0, 0);
  if (syscall(SYS_capset, &head, none) != 0) fail();
}

/* Raw system calls for the user ids: the C library's own would signal threads, after vfork. */
static void confine(const struct config *config, int inet) {
  if (config->uid >= 0) {
    if (syscall(SYS_setgroups, 0, NULL) != 0 ||
        syscall(SYS_setresgid, config->uid, config->uid, config->uid) != 0 ||
        syscall(SYS_setresuid, config->uid, config->uid, config->uid) != 0)
      fail();
  } else if (config->drop) {
    drop_capabilities();
  }
  if (config->landlock >= 0 && syscall(446, config->landlock, 0) != 0) fail();
  const struct sock_fprog *filter = &config->filters[inet];
  if (filter->len && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) != 0) fail();
}

static void child(const struct request *request, const struct config *config, int *fds, int count,
                  char **argv, char **env, const char *cwd) {
  setsid();
  for (int i = 0; i < count; i++)
    while (fds[i] < count)
      if ((fds[i] = dup(fds[i])) < 0) fail();
  for (int i = 0; i < count; i++)
    if (dup2(fds[i], i) < 0) fail();
  for (int fd = count; fd < 64; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (chdir(cwd) != 0) fail();
  limit(RLIMIT_CPU, request->cpu, request->cpu + 1);
  limit(RLIMIT_STACK, request->stack, request->stack);
  limit(RLIMIT_FSIZE, request->file, request->file);
  limit(RLIMIT_NOFILE, request->nofile, request->nofile);
  limit(RLIMIT_NPROC, request->nproc, request->nproc);
  limit(RLIMIT_DATA, request->data, request->data);
  confine(config, request->flags & 1);
  execve(argv[0], argv, env);
  exec_error = errno;
  _exit(127);
}

static int receive(int control, int *fds, int *count) {
  char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
  struct iovec part = {buffer, sizeof buffer - 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
                           .msg_controllen = sizeof space};
  ssize_t size = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
  if (size <= 0) _exit(0);
  *count = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    *count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(c), (size_t)*count * sizeof(int));
  }
  buffer[size] = 0;
  return (int)size;
}

/* Splits the strings behind the header into argv and env; returns the working folder. */
static const char *split(const struct request *request, int size, char ***argv, char ***env) {
  char *at = buffer + sizeof *request, *end = buffer + size;
  uint32_t total = 1 + request->nargs + request->nenv, slot = 0;
  if (total > MAX_STRINGS) return NULL;
  for (uint32_t i = 0; i < total; i++) {
    if (at >= end) return NULL;
    strings[slot++] = at;
    if (i == request->nargs) strings[slot++] = NULL;
    at += strlen(at) + 1;
  }
  strings[slot] = NULL;
  *argv = strings + 1;
  *env = strings + 2 + request->nargs;
  return strings[0];
}

static void serve(int control, volatile int *shared, const struct config *config) {
  int fds[MAX_FDS];
  static int count;
  for (;;) {
    int size = receive(control, fds, &count);
    const struct request *request = (const struct request *)buffer;
    struct reply reply = {0, E2BIG, 0, 0, 0};
    char **argv, **env;
    const char *cwd = split(request, size, &argv, &env);
    if (cwd != NULL) {
      exec_error = 0;
      int copies[MAX_FDS];
      memcpy(copies, fds, sizeof copies);
      pid_t pid = vfork();
      if (pid == 0) child(request, config, copies, count, argv, env, cwd);
      reply.error = pid < 0 ? -errno : exec_error;
      if (pid > 0) {
        struct rusage usage;
        int status = 0;
        *shared = pid;
        while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
        }
        *shared = 0;
        reply.status = status;
        reply.user_us = usage.ru_utime.tv_sec * 1000000L + usage.ru_utime.tv_usec;
        reply.system_us = usage.ru_stime.tv_sec * 1000000L + usage.ru_stime.tv_usec;
        reply.peak_kb = usage.ru_maxrss;
      }
    }
    for (int i = 0; i < count; i++) close(fds[i]);
    if (send(control, &reply, sizeof reply, MSG_NOSIGNAL) != sizeof reply) _exit(0);
  }
}

static void read_filters(int fd, struct config *config) {
  for (int i = 0; i < 2; i++) {
    uint32_t size = 0;
    if (read(fd, &size, sizeof size) != sizeof size) _exit(64);
    struct sock_filter *code = malloc(size + 1);
    if (code == NULL || (size && read(fd, code, size) != (ssize_t)size)) _exit(64);
    config->filters[i].len = (unsigned short)(size / sizeof *code);
    config->filters[i].filter = code;
  }
  close(fd);
}

int main(int argc, char **argv) {
  if (argc != 8) return 64;
  struct config config = {atol(argv[4]), atoi(argv[5]), atoi(argv[6]), {{0, NULL}, {0, NULL}}};
  int control = atoi(argv[1]), shared = atoi(argv[2]);
  read_filters(atoi(argv[3]), &config);
  volatile int *pid = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
  if (pid == MAP_FAILED) return 64;
  close(shared);
  fcntl(control, F_SETFD, FD_CLOEXEC);
  int namespace = atoi(argv[7]);
  if (namespace >= 0 && (setns(namespace, CLONE_NEWPID) != 0 || close(namespace) != 0)) return 71;
  if (config.landlock >= 0) fcntl(config.landlock, F_SETFD, FD_CLOEXEC);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  serve(control, pid, &config);
}
