/* SPDX-License-Identifier: ISC */
/*
 * What this kernel lets us do with files and rings, asked in another way than
 * the code that is tested does: what finds nothing there is not believed.
 */
#ifndef MCRELAY_TESTS_URING_HERE_H
#define MCRELAY_TESTS_URING_HERE_H

#include <stdbool.h>

/* Whether rings that write, or that receive, can be made; says why not. */
bool	uring_here_writes(void);
bool	uring_here_receives(void);
/* Whether as much memory as they like may be locked: makes it so, if it can. */
bool	uring_here_locks(void);
/* Whether that file can be written past the page cache; says if not. */
bool	uring_here_direct(int fd);

#endif /* MCRELAY_TESTS_URING_HERE_H */
