/* SPDX-License-Identifier: ISC */
/*
 * Loads the program that relays in the kernel.  See kernel_program.h.
 * Supervisor only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/in_kernel.h"
#include "supervisor/kernel_program.h"

#ifdef HAVE_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* What bpftool has written has not our warnings in mind. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/kernel_relay.skel.h"
#pragma GCC diagnostic pop

/* Among filters of others, before those that tc chooses a place for itself. */
#define PRIORITY	0x6d63U

struct kernel_program {
	struct kernel_relay_bpf	*loaded;
	int			 program;	/* descriptors, of `loaded' */
	int			 routes;
	int			 counts;
	int			 cpus;
	uint32_t		 id;
};

struct kernel_program *
kernel_program_load(char why[KERNEL_WHY_SIZE])
{
	struct kernel_program *program;
	struct kernel_relay_bpf *loaded;

	in_kernel_be_quiet();
	loaded = kernel_relay_bpf__open_and_load();
	if (loaded == NULL) {
		(void)snprintf(why, KERNEL_WHY_SIZE, "cannot load the program "
		    "into the kernel: %s", in_kernel_why(errno));
		return NULL;
	}
	program = xcalloc(1, sizeof(*program));
	program->loaded = loaded;
	program->program = bpf_program__fd(loaded->progs.mcrelay_relay);
	program->routes = bpf_map__fd(loaded->maps.mcrelay_routes);
	program->counts = bpf_map__fd(loaded->maps.mcrelay_counts);
	program->cpus = libbpf_num_possible_cpus();
	program->id = in_kernel_id(program->program);
	return program;
}

void
kernel_program_free(struct kernel_program *program)
{
	if (program != NULL)
		kernel_relay_bpf__destroy(program->loaded);
	free(program);
}

uint32_t
kernel_program_id(const struct kernel_program *program)
{
	return program->id;
}

/* What cannot be counted is not relayed. */
static int
count_from_zero(const struct kernel_program *program,
    const struct kernel_key *key)
{
	struct kernel_counts *none = xcalloc((size_t)MAX_OF(program->cpus, 1),
	    sizeof(*none));
	int result = bpf_map_update_elem(program->counts, key, none, BPF_ANY);

	free(none);
	return result;
}

int
kernel_program_set(const struct kernel_program *program,
    const struct kernel_key *key, const struct kernel_route *route, bool anew)
{
	if (anew && count_from_zero(program, key) < 0)
		return -1;
	return bpf_map_update_elem(program->routes, key, route, BPF_ANY) < 0 ?
	    -1 : 0;
}

static void
add_counts(struct kernel_counts *sum, const struct kernel_counts *more)
{
	int i;

	for (i = 0; i < KERNEL_TARGETS; i++) {
		sum->slot[i].datagrams += more->slot[i].datagrams;
		sum->slot[i].bytes += more->slot[i].bytes;
		sum->slot[i].errors += more->slot[i].errors;
	}
}

void
kernel_program_count(const struct kernel_program *program,
    const struct kernel_key *key, struct kernel_counts *sum)
{
	struct kernel_counts *each;
	int i;

	if (program->cpus <= 0)
		return;
	each = xcalloc((size_t)program->cpus, sizeof(*each));
	if (bpf_map_lookup_elem(program->counts, key, each) == 0)
		for (i = 0; i < program->cpus; i++)
			add_counts(sum, &each[i]);
	free(each);
}

void
kernel_program_delete(const struct kernel_program *program,
    const struct kernel_key *key)
{
	(void)bpf_map_delete_elem(program->routes, key);
	(void)bpf_map_delete_elem(program->counts, key);
}

int
kernel_program_attach(const struct kernel_program *program, uint32_t ifindex,
    uint32_t handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
	    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program->program,
	    .handle = handle, .priority = PRIORITY,
	    .flags = BPF_TC_F_REPLACE);
	int error = bpf_tc_hook_create(&hook);

	if (error != 0 && error != -EEXIST)
		return -1;
	return bpf_tc_attach(&hook, &opts) < 0 ? -1 : 0;
}

void
kernel_program_detach(uint32_t ifindex, uint32_t handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
	    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle,
	    .priority = PRIORITY);

	(void)bpf_tc_detach(&hook, &opts);
}

uint32_t
kernel_program_at(uint32_t ifindex, uint32_t handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
	    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle,
	    .priority = PRIORITY);

	in_kernel_be_quiet();
	return bpf_tc_query(&hook, &opts) == 0 ? opts.prog_id : 0;
}

#else /* !HAVE_BPF */

struct kernel_program *
kernel_program_load(char why[KERNEL_WHY_SIZE])
{
	(void)snprintf(why, KERNEL_WHY_SIZE, "this mcrelayd was built without "
	    "libbpf");
	return NULL;
}

void
kernel_program_free(struct kernel_program *program ATTR_UNUSED)
{
}

uint32_t
kernel_program_id(const struct kernel_program *program ATTR_UNUSED)
{
	return 0;
}

int
kernel_program_set(const struct kernel_program *program ATTR_UNUSED,
    const struct kernel_key *key ATTR_UNUSED,
    const struct kernel_route *route ATTR_UNUSED, bool anew ATTR_UNUSED)
{
	errno = ENOSYS;
	return -1;
}

void
kernel_program_count(const struct kernel_program *program ATTR_UNUSED,
    const struct kernel_key *key ATTR_UNUSED,
    struct kernel_counts *sum ATTR_UNUSED)
{
}

void
kernel_program_delete(const struct kernel_program *program ATTR_UNUSED,
    const struct kernel_key *key ATTR_UNUSED)
{
}

int
kernel_program_attach(const struct kernel_program *program ATTR_UNUSED,
    uint32_t ifindex ATTR_UNUSED, uint32_t handle ATTR_UNUSED)
{
	errno = ENOSYS;
	return -1;
}

void
kernel_program_detach(uint32_t ifindex ATTR_UNUSED,
    uint32_t handle ATTR_UNUSED)
{
}

uint32_t
kernel_program_at(uint32_t ifindex ATTR_UNUSED, uint32_t handle ATTR_UNUSED)
{
	return 0;
}

#endif /* HAVE_BPF */
