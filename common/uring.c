/* SPDX-License-Identifier: ISC */
/*
 * io_uring: what there is of it, and making a ring.  Supervisor and worker.
 */
#include <stdio.h>
#include <string.h>

#include "common/uring.h"
#include "common/util.h"

#ifdef HAVE_URING

#include <errno.h>
#include <liburing.h>

#define RESTRICTIONS_MAX	16

/* What an operator can do about it. */
static const char *
advice(int error)
{
	switch (error) {
	case ENOSYS:
		return "this kernel has none";
	case EPERM:
		return "not allowed: kernel.io_uring_disabled, or a filter "
		    "of system calls";
	case EINVAL:
		return "this kernel is too old for it";
	case ENOMEM:
		return "no memory, or more than RLIMIT_MEMLOCK";
	default:
		return strerror(error);
	}
}

/* False, for a call that has failed with `error'. */
static bool
failed(char *why, const char *what, int error)
{
	snprintf(why, URING_WHY_SIZE, "%s: %s", what, advice(error));
	return false;
}

bool
uring_open(struct io_uring *ring, const struct uring_options *options,
    char why[static URING_WHY_SIZE])
{
	struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED};
	int error;

	if (options->deferred)
		params.flags |= IORING_SETUP_SINGLE_ISSUER |
		    IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
	if (options->poll)
		params.flags |= IORING_SETUP_SQPOLL;
	if (options->poll && options->cpu >= 0) {
		params.flags |= IORING_SETUP_SQ_AFF;
		params.sq_thread_cpu = (uint32_t)options->cpu;
	}
	if (options->completions != 0) {
		params.flags |= IORING_SETUP_CQSIZE;
		params.cq_entries = options->completions;
	}
	error = -io_uring_queue_init_params(options->entries, ring, &params);
	return error == 0 || failed(why, "io_uring_setup", error);
}

bool
uring_restrict(struct io_uring *ring, const struct uring_limits *limits,
    char why[static URING_WHY_SIZE])
{
	struct io_uring_restriction list[RESTRICTIONS_MAX] = {
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
	    .sqe_flags = limits->flags},
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
	    .sqe_flags = limits->required},
	    {.opcode = IORING_RESTRICTION_REGISTER_OP,
	    .register_op = IORING_REGISTER_ENABLE_RINGS}};
	static const uint8_t buffers[] = {IORING_REGISTER_PBUF_RING,
	    IORING_UNREGISTER_PBUF_RING};
	unsigned n = 3;
	size_t i;
	int error;

	for (i = 0; limits->buffers && i < NITEMS(buffers); i++)
		list[n++] = (struct io_uring_restriction){
		    .opcode = IORING_RESTRICTION_REGISTER_OP,
		    .register_op = buffers[i]};
	for (i = 0; i < limits->count && n < RESTRICTIONS_MAX; i++)
		list[n++] = (struct io_uring_restriction){
		    .opcode = IORING_RESTRICTION_SQE_OP,
		    .sqe_op = limits->ops[i]};
	/* What liburing 2.3 has for it is declared and not exported. */
	error = -io_uring_register((unsigned)ring->ring_fd,
	    IORING_REGISTER_RESTRICTIONS, list, n);
	return error == 0 || failed(why, "restricting an io_uring", error);
}

bool
uring_enable(struct io_uring *ring, char why[static URING_WHY_SIZE])
{
	int error = -io_uring_register((unsigned)ring->ring_fd,
	    IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	return error == 0 || failed(why, "enabling an io_uring", error);
}

/* The operations that a use takes. */
static const struct {
	enum uring_use	use;
	uint8_t		op;
	const char	*name;
} needed[] = {
	{URING_RECEIVE, IORING_OP_RECVMSG, "recvmsg"},
	{URING_SEND, IORING_OP_SENDMSG, "sendmsg"},
	{URING_WRITE, IORING_OP_WRITE, "write"},
	{URING_WRITE, IORING_OP_WRITE_FIXED, "write_fixed"},
	{URING_WRITE, IORING_OP_FALLOCATE, "fallocate"},
	{URING_WRITE, IORING_OP_FSYNC, "fsync"},
};

/* Of `uses', those whose operations the kernel has. */
static uint32_t
probe_ops(struct io_uring *ring, uint32_t uses, char *why)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	size_t i;

	if (probe == NULL) {
		failed(why, "asking io_uring what it can", ENOSYS);
		return 0;
	}
	for (i = 0; i < NITEMS(needed); i++) {
		if ((uses & needed[i].use) == 0 ||
		    io_uring_opcode_supported(probe, needed[i].op))
			continue;
		uses &= ~(uint32_t)needed[i].use;
		snprintf(why, URING_WHY_SIZE, "this kernel's io_uring has no "
		    "%s", needed[i].name);
	}
	io_uring_free_probe(probe);
	return uses;
}

uint32_t
uring_probe(uint32_t uses, char why[static URING_WHY_SIZE])
{
	struct uring_options options = {.entries = 1, .cpu = -1};
	struct io_uring ring;

	why[0] = '\0';
	if (!uring_open(&ring, &options, why))
		return 0;
	uses = probe_ops(&ring, uses, why);
	io_uring_queue_exit(&ring);
	if ((uses & URING_RECEIVE) == 0)
		return uses;
	/* What came with it is younger than what receiving takes beside. */
	options.deferred = true;
	if (uring_open(&ring, &options, why))
		io_uring_queue_exit(&ring);
	else
		uses &= ~(uint32_t)URING_RECEIVE;
	return uses;
}

#else

static bool
missing(char *why)
{
	snprintf(why, URING_WHY_SIZE, "this build of mcrelay has no io_uring: "
	    "it needs the Debian package liburing-dev when it is built");
	return false;
}

uint32_t
uring_probe(uint32_t uses ATTR_UNUSED, char why[static URING_WHY_SIZE])
{
	missing(why);
	return 0;
}

bool
uring_open(struct io_uring *ring ATTR_UNUSED,
    const struct uring_options *options ATTR_UNUSED,
    char why[static URING_WHY_SIZE])
{
	return missing(why);
}

bool
uring_restrict(struct io_uring *ring ATTR_UNUSED,
    const struct uring_limits *limits ATTR_UNUSED,
    char why[static URING_WHY_SIZE])
{
	return missing(why);
}

bool
uring_enable(struct io_uring *ring ATTR_UNUSED,
    char why[static URING_WHY_SIZE])
{
	return missing(why);
}

#endif /* HAVE_URING */
