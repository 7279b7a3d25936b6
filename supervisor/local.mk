# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# supervisor: mcrelayd.
#
noinst_LIBRARIES += libsupervisor.a
sbin_PROGRAMS += mcrelayd
# What it checks of mcrelay-web's files.
WEB_CHECK_LIBS = $(GNUTLS_LIBS) $(CRYPT_LIBS)
libsupervisor_a_CPPFLAGS = $(AM_CPPFLAGS) $(YAML_CFLAGS) $(AVRO_CFLAGS) \
	$(JANSSON_CFLAGS) $(LIBBSD_CFLAGS) $(GNUTLS_CFLAGS) $(BPF_CFLAGS)
libsupervisor_a_SOURCES = \
	supervisor/account.c supervisor/account.h \
	supervisor/account_ask.c \
	supervisor/account_priv.h supervisor/account_run.c \
	supervisor/account_serve.c \
	supervisor/account_read.c \
	supervisor/adopt.c supervisor/adopt.h \
	supervisor/backoff.c supervisor/backoff.h \
	supervisor/budget.c supervisor/budget.h \
	supervisor/capabilities.c supervisor/capabilities.h \
	supervisor/channel.c supervisor/channel.h \
	supervisor/channel_descriptors.c \
	supervisor/channel_end.c \
	supervisor/channel_priv.h \
	supervisor/channels.c supervisor/channels.h \
	supervisor/child.c supervisor/child.h \
	supervisor/child_death.c \
	supervisor/child_image.c \
	supervisor/child_priv.h \
	supervisor/child_tell.c \
	supervisor/commands.c supervisor/commands.h \
	supervisor/control.c supervisor/control.h \
	supervisor/control_follow.c \
	supervisor/control_priv.h \
	supervisor/daemon.c supervisor/daemon.h \
	supervisor/decimator.c supervisor/decimator.h \
	supervisor/decimator_priv.h \
	supervisor/decimator_serve.c \
	supervisor/directory.c supervisor/directory.h \
	supervisor/dirs.c supervisor/dirs.h \
	supervisor/errand.c supervisor/errand.h \
	supervisor/events.c supervisor/events.h \
	supervisor/facts.c supervisor/facts.h \
	supervisor/far_file.c supervisor/far_file.h \
	supervisor/fanout.c supervisor/fanout.h \
	supervisor/fanout_priv.h supervisor/fanout_program.c \
	supervisor/fanout_route.c \
	supervisor/fdstore.c supervisor/fdstore.h \
	supervisor/follow.c supervisor/follow.h \
	supervisor/foreign.c supervisor/foreign.h \
	supervisor/fleet.c supervisor/fleet.h \
	supervisor/fleet_cold.c \
	supervisor/fleet_drain.c supervisor/fleet_priv.h \
	supervisor/fleet_page.c \
	supervisor/fleet_turns.c \
	supervisor/forwarder.c supervisor/forwarder.h \
	supervisor/forwarder_page.c supervisor/forwarder_priv.h \
	supervisor/handoff.c supervisor/handoff.h \
	supervisor/handoff_check.c \
	supervisor/handoff_events.c supervisor/handoff_events.h \
	supervisor/handoff_health.c supervisor/handoff_health.h \
	supervisor/handoff_parts.c supervisor/handoff_parts.h \
	supervisor/handoff_priv.h \
	supervisor/heal.c supervisor/heal.h \
	supervisor/images.c supervisor/images.h \
	supervisor/inheritance.c supervisor/inheritance.h \
	supervisor/json_text.c supervisor/json_text.h \
	supervisor/in_kernel.c supervisor/in_kernel.h \
	supervisor/kernel_hop.h \
	supervisor/kernel_path.c supervisor/kernel_path.h \
	supervisor/kernel_program.c supervisor/kernel_program.h \
	supervisor/kernel_route.c supervisor/kernel_route.h \
	supervisor/kernel_said.c \
	supervisor/xdp_open.c \
	supervisor/xdp_path.c supervisor/xdp_path.h \
	supervisor/xdp_path_priv.h supervisor/xdp_path_text.c \
	supervisor/ethtool.c supervisor/ethtool.h \
	supervisor/xdp_program.c supervisor/xdp_program.h \
	supervisor/xdp_socket.c supervisor/xdp_socket.h \
	supervisor/xdp_steer.c supervisor/xdp_steer.h \
	supervisor/xdp_where.c supervisor/xdp_where.h \
	supervisor/levels.c supervisor/levels.h \
	supervisor/live.c supervisor/live.h \
	supervisor/memberships.c supervisor/memberships.h \
	supervisor/mounts.c supervisor/mounts.h \
	supervisor/memory_file.c supervisor/memory_file.h \
	supervisor/names.c supervisor/names.h \
	supervisor/needs.c supervisor/needs.h \
	supervisor/netlink.c supervisor/netlink.h \
	supervisor/netwatch.h \
	supervisor/notify.c supervisor/notify.h \
	supervisor/orphans.c supervisor/orphans.h \
	supervisor/owners.c supervisor/owners.h \
	supervisor/parts.c supervisor/parts.h \
	supervisor/parts_input.c supervisor/parts_priv.h \
	supervisor/privdrop.c supervisor/privdrop.h \
	supervisor/querier.c supervisor/querier.h \
	supervisor/reasons.c supervisor/reasons.h \
	supervisor/reload.c supervisor/reload.h \
	supervisor/pause.c supervisor/pause.h \
	supervisor/report.c supervisor/report.h \
	supervisor/rings.c supervisor/rings.h \
	supervisor/room.c supervisor/room.h \
	supervisor/rundir.c supervisor/rundir.h \
	supervisor/runnable.c supervisor/runnable.h \
	supervisor/schema_files.c supervisor/schema_files.h \
	supervisor/shared.c supervisor/shared.h \
	supervisor/segment_spec.c supervisor/segment_spec.h \
	supervisor/silence.c supervisor/silence.h \
	supervisor/inherit_page.c \
	supervisor/slots.c \
	supervisor/shards.c supervisor/shards.h \
	supervisor/sockets.c supervisor/sockets.h \
	supervisor/sockets_heal.c supervisor/sockets_heal.h \
	supervisor/sockets_output.c \
	supervisor/sockets_pair.c \
	supervisor/sockets_priv.h \
	supervisor/spawn.c supervisor/spawn.h supervisor/spawn_priv.h \
	supervisor/spread.c \
	supervisor/startup.c supervisor/startup.h \
	supervisor/status.c supervisor/status.h \
	supervisor/status_inputs.c supervisor/status_priv.h \
	supervisor/status_outputs.c \
	supervisor/supervisor.c supervisor/supervisor.h \
	supervisor/tell.c supervisor/tell.h \
	supervisor/udp_errors.c supervisor/udp_errors.h \
	supervisor/tell_files.c \
	supervisor/upgrade.c supervisor/upgrade.h \
	supervisor/users.c supervisor/users.h \
	supervisor/voice.c supervisor/voice.h \
	supervisor/segmentation.c supervisor/segmentation.h \
	supervisor/waiting.c supervisor/waiting.h \
	supervisor/watch.c supervisor/watch.h \
	supervisor/web.c supervisor/web.h \
	supervisor/web_check.c \
	supervisor/web_files.c supervisor/web_files.h \
	supervisor/web_priv.h \
	supervisor/web_stage.c \
	supervisor/web_streams.c \
	supervisor/web_tls.c \
	supervisor/web_users.c \
	supervisor/conf/address.c supervisor/conf/address.h \
	supervisor/conf/archive.c \
	supervisor/conf/channel.c \
	supervisor/conf/io_uring.c \
	supervisor/conf/workers.c \
	supervisor/conf/check.c supervisor/conf/check_inputs.c \
	supervisor/conf/check_kernel.c supervisor/conf/check_xdp.c \
	supervisor/conf/check_priv.h \
	supervisor/conf/compare.c \
	supervisor/conf/conf.c supervisor/conf/conf.h \
	supervisor/conf/conf_priv.h \
	supervisor/conf/decimate.c \
	supervisor/conf/forward.c \
	supervisor/conf/hosts.c \
	supervisor/conf/network.c \
	supervisor/conf/node.c supervisor/conf/node.h \
	supervisor/conf/payload.c \
	supervisor/conf/plan.c \
	supervisor/conf/problem.c supervisor/conf/problem.h \
	supervisor/conf/read.c \
	supervisor/conf/shards.c \
	supervisor/conf/stream_archive.c \
	supervisor/conf/text.c supervisor/conf/text.h \
	supervisor/conf/user.c \
	supervisor/conf/value.c supervisor/conf/value.h \
	supervisor/conf/web.c \
	supervisor/doctor/archives.c supervisor/doctor/archives.h \
	supervisor/doctor/check_archive.c \
	supervisor/doctor/check_buffers.c \
	supervisor/doctor/check_cgroup.c \
	supervisor/doctor/check_disk.c \
	supervisor/doctor/check_fleet.c \
	supervisor/doctor/check_forward.c \
	supervisor/doctor/check_groups.c \
	supervisor/doctor/check_host.c \
	supervisor/doctor/check_limits.c \
	supervisor/doctor/check_links.c \
	supervisor/doctor/check_mtu.c \
	supervisor/doctor/check_nic.c \
	supervisor/doctor/check_paths.c \
	supervisor/doctor/check_ports.c \
	supervisor/doctor/check_service.c \
	supervisor/doctor/check_web.c \
	supervisor/doctor/checks.h \
	supervisor/doctor/doctor.c supervisor/doctor/doctor.h \
	supervisor/doctor/doctor_priv.h \
	supervisor/doctor/facts.c \
	supervisor/doctor/links.c \
	supervisor/doctor/look.c \
	supervisor/doctor/print.c supervisor/doctor/print.h \
	supervisor/doctor/table.c
if LINUX
libsupervisor_a_SOURCES += supervisor/kernel_hop_linux.c \
	supervisor/netwatch_linux.c supervisor/segmentation_linux.c \
	supervisor/spawn_linux.c
else
libsupervisor_a_SOURCES += supervisor/kernel_hop_posix.c \
	supervisor/netwatch_posix.c supervisor/segmentation_posix.c \
	supervisor/spawn_posix.c
endif
# The programs in the kernel, as libbpf takes them.
EXTRA_DIST += bpf/apart.h bpf/kernel_relay.bpf.c bpf/kernel_relay.h \
	bpf/xdp_input.bpf.c bpf/xdp_input.h
if BPF
nodist_libsupervisor_a_SOURCES = bpf/kernel_relay.skel.h bpf/xdp_input.skel.h
BUILT_SOURCES += bpf/kernel_relay.skel.h bpf/xdp_input.skel.h
# Also where single programs are made.
supervisor/libsupervisor_a-kernel_program.$(OBJEXT): bpf/kernel_relay.skel.h
supervisor/libsupervisor_a-xdp_program.$(OBJEXT): bpf/xdp_input.skel.h
CLEANFILES += bpf/kernel_relay.bpf.o bpf/kernel_relay.skel.h \
	bpf/kernel_relay.clang.o \
	bpf/xdp_input.bpf.o bpf/xdp_input.skel.h bpf/xdp_input.clang.o
BPF_COMPILE = $(AM_V_GEN)$(MKDIR_P) bpf && $(BPF_CLANG) -target bpf -O2 -g \
	-Wall -Wextra -Werror -fdebug-compilation-dir=. -I$(top_srcdir) \
	$(BPF_HEADERS) -c
bpf/kernel_relay.clang.o: bpf/kernel_relay.bpf.c bpf/kernel_relay.h bpf/apart.h
	$(BPF_COMPILE) $(srcdir)/bpf/kernel_relay.bpf.c -o $@
bpf/xdp_input.clang.o: bpf/xdp_input.bpf.c bpf/xdp_input.h bpf/apart.h
	$(BPF_COMPILE) $(srcdir)/bpf/xdp_input.bpf.c -o $@
# Without what is for debuggers, half of it and of no use in mcrelayd.
bpf/kernel_relay.bpf.o: bpf/kernel_relay.clang.o
	$(AM_V_GEN)$(BPFTOOL) gen object $@ bpf/kernel_relay.clang.o
bpf/xdp_input.bpf.o: bpf/xdp_input.clang.o
	$(AM_V_GEN)$(BPFTOOL) gen object $@ bpf/xdp_input.clang.o
bpf/kernel_relay.skel.h: bpf/kernel_relay.bpf.o
	$(AM_V_GEN)$(BPFTOOL) gen skeleton bpf/kernel_relay.bpf.o \
	    name kernel_relay_bpf >$@.new && mv $@.new $@
bpf/xdp_input.skel.h: bpf/xdp_input.bpf.o
	$(AM_V_GEN)$(BPFTOOL) gen skeleton bpf/xdp_input.bpf.o \
	    name xdp_input_bpf >$@.new && mv $@.new $@
endif
mcrelayd_SOURCES = supervisor/main.c supervisor/account_print.c
mcrelayd_LDADD = libsupervisor.a libschema.a libcommon.a \
	$(EV_LIBS) $(YAML_LIBS) $(AVRO_LIBS) $(JANSSON_LIBS) $(LIBBSD_LIBS) \
	$(WEB_CHECK_LIBS) $(CODEC_LIBS) $(SECCOMP_LIBS) $(URING_LIBS) \
	$(BPF_LIBS) -lm
dist_man_MANS += man/mcrelayd.8 man/mcrelay.yaml.5
