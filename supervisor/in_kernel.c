/* SPDX-License-Identifier: ISC */
/*
 * Programs in the kernel.  See in_kernel.h.  Supervisor only.
 */
#include "supervisor/in_kernel.h"

#ifdef HAVE_BPF

#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "common/compiler.h"

static int
be_quiet(enum libbpf_print_level level ATTR_UNUSED,
    const char *format ATTR_UNUSED, va_list ap ATTR_UNUSED)
{
	return 0;
}

void
in_kernel_be_quiet(void)
{
	(void)libbpf_set_print(be_quiet);
}

const char *
in_kernel_why(int error)
{
	if (error == EPERM)
		return "this takes CAP_BPF and CAP_NET_ADMIN, which mcrelayd "
		    "gives up if nothing asks for them when it starts";
	return strerror(error);
}

uint32_t
in_kernel_id(int fd)
{
	struct bpf_prog_info info;
	uint32_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

#endif /* HAVE_BPF */
