/* SPDX-License-Identifier: ISC */
/*
 * What the files of the hostile worker share.  For hostile*.c.  Tests only.
 */
#ifndef TEST_HOSTILE_PRIV_H
#define TEST_HOSTILE_PRIV_H

#include <errno.h>

#include "hostile.h"

/* Of a call that returns -1 when it is refused. */
#define OUTCOME(result)	((result) == -1 ? errno : 0)

#define ANYBODY		65533	/* a user, or group, that we are not */

/* Attempts on files. */
int	open_password_file(const struct prey *prey);
int	open_absolute(const struct prey *prey);
int	open_above(const struct prey *prey);
int	open_through_link(const struct prey *prey);
int	list_above(const struct prey *prey);
int	make_file_outside(const struct prey *prey);
int	remove_outside(const struct prey *prey);
int	rename_out(const struct prey *prey);
int	link_in(const struct prey *prey);
int	make_link(const struct prey *prey);
int	make_fifo(const struct prey *prey);
int	make_directory(const struct prey *prey);
int	make_device(const struct prey *prey);
int	make_socket(const struct prey *prey);
int	truncate_outside(const struct prey *prey);
int	give_away(const struct prey *prey);
int	set_user_bit(const struct prey *prey);
int	open_by_handle(const struct prey *prey);
int	change_root(const struct prey *prey);
int	mount_something(const struct prey *prey);

#endif /* TEST_HOSTILE_PRIV_H */
