/* Starts programs for the runner, as fork.py does, in two forms made from this file.
 *
 * A program, for compiled programs: by vfork, so that nothing is copied.
 *   usage: spawner CONTROL_FD SHARED_FD FILTER_FD UID LANDLOCK_FD DROP_CAPABILITIES PID_NAMESPACE_FD
 *   FILTER_FD holds two seccomp programs (judged, session), each after its length as a uint32.
 * A library (-shared) in the zygote, for Python programs: `forker_serve` comes back in each child,
 * confined. Python code between fork and program would write to some seventy pages, and so copy
 * them, in the child, and to thirty in the zygote.
 *
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
enum { INET = 1, DETACH = 2, AHEAD = 4 };

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
/* Where a forked child, whose memory is its own, says why it could not be confined; or -1. */
static int complaints = -1;

/* Before the program runs: a negative errno tells the runner that the slot is at fault. */
static void fail(void) {
  exec_error = errno ? -errno : -EINVAL;
  if (complaints >= 0) {
    char text[100];
    int size = snprintf(text, sizeof text, "cannot confine the child: %s", strerror(errno));
    send(complaints, text, (size_t)size, MSG_NOSIGNAL);
  }
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

/* Turns the new child into a confined process with its descriptors in place. */
static void prepare(const struct request *request, const struct config *config, int *fds, int count,
                    const char *cwd) {
  setsid();
  for (int i = 0; i < count; i++)
    while (fds[i] < count)
      if ((fds[i] = dup(fds[i])) < 0) fail();
  for (int i = 0; i < count; i++)
    if (dup2(fds[i], i) < 0) fail();
  if (chdir(cwd) != 0) fail();
  limit(RLIMIT_CPU, request->cpu, request->cpu + 1);
  limit(RLIMIT_STACK, request->stack, request->stack);
  limit(RLIMIT_FSIZE, request->file, request->file);
  limit(RLIMIT_NOFILE, request->nofile, request->nofile);
  limit(RLIMIT_NPROC, request->nproc, request->nproc);
  limit(RLIMIT_DATA, request->data, request->data);
  confine(config, request->flags & INET);
}

static void child(const struct request *request, const struct config *config, int *fds, int count,
                  char **argv, char **env, const char *cwd) {
  prepare(request, config, fds, count, cwd);
  for (int fd = count; fd < 64; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  execve(argv[0], argv, env);
  exec_error = errno;
  _exit(127);
}

/* Takes a request with its descriptors; 0 at the end of the stream. */
static int receive(int control, int *fds, int *count) {
  char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
  struct iovec part = {buffer, sizeof buffer - 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
                           .msg_controllen = sizeof space};
  ssize_t size = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
  if (size <= 0) return 0;
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

/* Waits for a child, and fills in how it ended. */
static void reap(pid_t pid, struct reply *reply) {
  struct rusage usage;
  int status = 0;
  memset(&usage, 0, sizeof usage);
  while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  reply->status = status;
  reply->user_us = usage.ru_utime.tv_sec * 1000000L + usage.ru_utime.tv_usec;
  reply->system_us = usage.ru_stime.tv_sec * 1000000L + usage.ru_stime.tv_usec;
  reply->peak_kb = usage.ru_maxrss;
}

static void answer(int control, const struct reply *reply) {
  if (send(control, reply, sizeof *reply, MSG_NOSIGNAL) != sizeof *reply) _exit(0);
}

static void serve(int control, volatile int *shared, const struct config *config) {
  int fds[MAX_FDS];
  static int count;
  for (;;) {
    int size = receive(control, fds, &count);
    if (size == 0) _exit(0);
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
        *shared = pid;
        reap(pid, &reply);
        *shared = 0;
      }
    }
    for (int i = 0; i < count; i++) close(fds[i]);
    answer(control, &reply);
  }
}

/* ---- The library ---- */

/* Version of the layouts above and of the arguments below, as fork.py must know them. */
const int forker_layout = 1;
char *const forker_request = buffer;

/* What Python has to do before a fork, and behind it in the parent and in the child; or NULL. */
struct hooks {
  void (*before)(void), (*after_parent)(void), (*after_child)(void);
};

/* The child that runs and the one that waits are in `shared`, [0] and [1], as the runner sees. */
struct forker {
  int control;
  volatile int *shared;
  const struct config *config;
  const struct hooks *hooks;
  int door;    /* Where the request of the waiting child goes, or -1. */
  int answers; /* Where the child that runs says that it took its request, if it had waited. */
};

/* A negative errno if there can be no child. */
static pid_t fork_python(const struct forker *forker) {
  const struct hooks *hooks = forker->hooks;
  if (hooks->before) hooks->before();
  pid_t pid = fork();
  if (pid < 0) pid = -errno;
  void (*after)(void) = pid == 0 ? hooks->after_child : hooks->after_parent;
  if (after) after();
  return pid;
}

/* In the child: gives up all that the program may not have. */
static void become(const struct forker *forker, int *fds, int count) {
  complaints = forker->control;
  prepare((const struct request *)buffer, forker->config, fds, count,
          buffer + sizeof(struct request));
  if (syscall(SYS_close_range, count, ~0U, 0) != 0)
    for (int fd = count; fd < 256; fd++) close(fd);
  /* Its own /proc files, which the change of user took; last, as others of that user may now look
   * into it. */
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* Gives the request to the waiting child; returns its process id, or 0 if there is none alive. */
static pid_t hand_over(struct forker *forker, int size, const int *fds, int count) {
  int door = forker->door;
  pid_t pid = forker->shared[1];
  forker->shared[1] = 0;
  forker->door = -1;
  if (forker->answers >= 0) close(forker->answers);
  forker->answers = door;
  if (door < 0) return 0;
  char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
  memset(space, 0, sizeof space);
  struct iovec part = {buffer, (size_t)size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
                           .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
  memcpy(CMSG_DATA(rights), fds, (size_t)count * sizeof(int));
  if (sendmsg(door, &message, MSG_NOSIGNAL) == size) return pid;
  forker->answers = -1;
  close(door); /* Which ends it, should it live. */
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
  return 0;
}

/* Whether the child took its request; waits for that. Not if it died before it could. */
static int began(const struct forker *forker) {
  char taken = 0;
  return forker->answers < 0 || (recv(forker->answers, &taken, 1, 0) == 1 && taken == 't');
}

/* Forks the child that will take the next request; returns the request's size in that child, once
 * it has, else 0. It keeps the zygote's user until then, lest a program signal, stop or trace it. */
static int fork_ahead(struct forker *forker) {
  int ends[2], fds[MAX_FDS], count = 0, size;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return 0;
  pid_t pid = fork_python(forker);
  if (pid == 0) {
    close(ends[0]);
    if ((size = receive(ends[1], fds, &count)) == 0) _exit(0);
    send(ends[1], "t", 1, MSG_NOSIGNAL);
    become(forker, fds, count);
    return size;
  }
  close(ends[1]);
  if (pid > 0) {
    forker->shared[1] = pid;
    forker->door = ends[0];
  } else {
    close(ends[0]); /* The slot is full of processes: the next request forks its own. */
  }
  return 0;
}

/* Starts a child for the request in `buffer`; true in the child. */
static int start(struct forker *forker, int size, int *fds, int count, pid_t *pid) {
  int detach = ((const struct request *)buffer)->flags & DETACH;
  if (!detach) forker->shared[0] = forker->shared[1]; /* First: it may have ended soon. */
  *pid = hand_over(forker, size, fds, count);
  if (*pid == 0) {
    *pid = fork_python(forker);
    if (*pid == 0) {
      become(forker, fds, count);
      return 1;
    }
    if (!detach) forker->shared[0] = *pid;
  }
  for (int i = 0; i < count; i++) close(fds[i]);
  return 0;
}

/* Forks for the runner until it goes away. Returns in each child, confined, with the request at
 * `forker_request`: its size. A child is forked ahead of its request where the request before it
 * asks for that, and programs have a user of their own. */
int forker_serve(int control, volatile int *shared, const struct config *config,
                 const struct hooks *hooks) {
  struct forker forker = {control, shared, config, hooks, -1, -1};
  for (;;) {
    int fds[MAX_FDS], count = 0, size = receive(control, fds, &count);
    struct reply reply = {0, 0, 0, 0, 0};
    pid_t pid;
    if (size == 0) _exit(0);
    if (size == sizeof(int32_t)) { /* The process id of a detached child that was killed. */
      int32_t detached;
      memcpy(&detached, buffer, sizeof detached);
      waitpid(detached, NULL, 0);
      answer(control, &reply);
      continue;
    }
    uint16_t flags = ((const struct request *)buffer)->flags;
    if (start(&forker, size, fds, count, &pid)) return size;
    if (pid < 0) {
      reply.error = pid;
    } else if (flags & DETACH) {
      reply.user_us = pid;
      reply.error = began(&forker) ? 0 : -ECHILD;
    } else {
      if ((flags & AHEAD) && config->uid >= 0 && (size = fork_ahead(&forker))) return size;
      reap(pid, &reply);
      if (WIFSIGNALED(reply.status) && !began(&forker)) reply.error = -ECHILD;
    }
    shared[0] = 0;
    answer(control, &reply);
  }
}

/* ---- The program ---- */

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
