/* SPDX-License-Identifier: ISC */
/*
 * Loads the program that gives datagrams to AF_XDP sockets.  See xdp_program.h.
 * Supervisor only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/in_kernel.h"
#include "supervisor/xdp_program.h"

#ifdef HAVE_BPF

#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* What bpftool has written has not our warnings in mind. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/xdp_input.skel.h"
#pragma GCC diagnostic pop

struct xdp_program {
	struct xdp_input_bpf	*loaded;
	int			 program;	/* descriptors, of `loaded' */
	int			 places;
	int			 sockets;
	uint32_t		 id;
};

struct xdp_program *
xdp_program_load(char why[XDP_WHY_SIZE])
{
	struct xdp_program *program;
	struct xdp_input_bpf *loaded;

	in_kernel_be_quiet();
	loaded = xdp_input_bpf__open_and_load();
	if (loaded == NULL) {
		(void)snprintf(why, XDP_WHY_SIZE, "cannot load the program "
		    "into the kernel: %s", in_kernel_why(errno));
		return NULL;
	}
	program = xcalloc(1, sizeof(*program));
	program->loaded = loaded;
	program->program = bpf_program__fd(loaded->progs.mcrelay_xdp);
	program->places = bpf_map__fd(loaded->maps.mcrelay_places);
	program->sockets = bpf_map__fd(loaded->maps.mcrelay_sockets);
	program->id = in_kernel_id(program->program);
	return program;
}

void
xdp_program_free(struct xdp_program *program)
{
	if (program != NULL)
		xdp_input_bpf__destroy(program->loaded);
	free(program);
}

uint32_t
xdp_program_id(const struct xdp_program *program)
{
	return program->id;
}

int
xdp_program_move(const struct xdp_program *program,
    const struct xdp_key *key, const struct xdp_place *place)
{
	return bpf_map_update_elem(program->places, key, place, BPF_ANY) < 0 ?
	    -1 : 0;
}

int
xdp_program_set(const struct xdp_program *program, const struct xdp_key *key,
    const struct xdp_place *place, int socket)
{
	if (bpf_map_update_elem(program->sockets, &place->socket, &socket,
	    BPF_ANY) < 0)
		return -1;
	return xdp_program_move(program, key, place);
}

void
xdp_program_delete(const struct xdp_program *program,
    const struct xdp_key *key)
{
	struct xdp_place place;

	if (bpf_map_lookup_elem(program->places, key, &place) < 0)
		return;
	(void)bpf_map_delete_elem(program->places, key);
	(void)bpf_map_delete_elem(program->sockets, &place.socket);
}

static int
link_it(const struct xdp_program *program, uint32_t ifindex, uint32_t mode)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);

	return bpf_link_create(program->program, (int)ifindex, BPF_XDP,
	    &options);
}

static void
explain(uint32_t ifindex, int error, char why[XDP_WHY_SIZE])
{
	uint32_t id = 0;

	if (error != EBUSY && error != EEXIST) {
		(void)snprintf(why, XDP_WHY_SIZE, "the interface takes no "
		    "program: %s", strerror(error));
		return;
	}
	(void)bpf_xdp_query_id((int)ifindex, 0, &id);
	(void)snprintf(why, XDP_WHY_SIZE, "the interface has another XDP "
	    "program (number %u, see bpftool net): it can have one only",
	    id);
}

int
xdp_program_attach(const struct xdp_program *program, uint32_t ifindex,
    bool *in_driver, char why[XDP_WHY_SIZE])
{
	int fd = link_it(program, ifindex, XDP_FLAGS_DRV_MODE);

	*in_driver = fd >= 0;
	if (fd < 0 && errno != EBUSY && errno != EEXIST)
		fd = link_it(program, ifindex, XDP_FLAGS_SKB_MODE);
	if (fd >= 0)
		return fd;
	explain(ifindex, errno, why);
	return -1;
}

#else /* !HAVE_BPF */

struct xdp_program *
xdp_program_load(char why[XDP_WHY_SIZE])
{
	(void)snprintf(why, XDP_WHY_SIZE, "this mcrelayd was built without "
	    "libbpf");
	return NULL;
}

void
xdp_program_free(struct xdp_program *program ATTR_UNUSED)
{
}

uint32_t
xdp_program_id(const struct xdp_program *program ATTR_UNUSED)
{
	return 0;
}

int
xdp_program_set(const struct xdp_program *program ATTR_UNUSED,
    const struct xdp_key *key ATTR_UNUSED,
    const struct xdp_place *place ATTR_UNUSED, int socket ATTR_UNUSED)
{
	errno = ENOSYS;
	return -1;
}

int
xdp_program_move(const struct xdp_program *program ATTR_UNUSED,
    const struct xdp_key *key ATTR_UNUSED,
    const struct xdp_place *place ATTR_UNUSED)
{
	errno = ENOSYS;
	return -1;
}

void
xdp_program_delete(const struct xdp_program *program ATTR_UNUSED,
    const struct xdp_key *key ATTR_UNUSED)
{
}

int
xdp_program_attach(const struct xdp_program *program ATTR_UNUSED,
    uint32_t ifindex ATTR_UNUSED, bool *in_driver ATTR_UNUSED,
    char why[XDP_WHY_SIZE])
{
	(void)snprintf(why, XDP_WHY_SIZE, "this mcrelayd was built without "
	    "libbpf");
	return -1;
}

#endif /* HAVE_BPF */
