"""File trees of boards: /proc, /sys and the makers' programs at their real paths below a folder.

The programs are shell scripts that print what the real ones print; what they say now stands in files
below ``run/`` of the tree, so that a test changes it while a trial is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VCGENCMD = """\
#!/bin/sh
state={root}/run
case "$*" in
"get_throttled") cat $state/throttled ;;
"measure_clock arm") cat $state/clock ;;
"pmic_read_adc") cat $state/pmic 2>/dev/null || echo 'error=1 error_msg="Command not registered"' ;;
"version") printf 'Jan  5 2023 10:46:54 \\nCopyright (c) 2012 Broadcom\\n'
  echo 'version 8ba17717fbcedd4c3b6d4bce7e50c7af4155cba9 (clean) (release) (start)' ;;
esac
"""
NVPMODEL = '#!/bin/sh\n[ "$1" = -q ] && cat {root}/run/nvpmodel\n'
PMIC = """\
     3V7_WL_SW_A current(0)=0.05855580A
      VDD_CORE_A current(7)=1.43652000A
     3V7_WL_SW_V volt(8)=3.61069200V
      VDD_CORE_V volt(15)=0.89369880V
         EXT5V_V volt(24)=4.92450000V
"""


def write(root: Path, entries: Mapping[str, str]) -> None:
    """Files by their path below ``root``; parents are made, what is there is replaced at once."""
    for path, text in entries.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(file.name + ".new")
        fresh.write_text(text)
        fresh.replace(file)


def program(root: Path, path: str, text: str, *, at: str | None = None) -> None:
    """An executable file of the tree; ``at``: where it will find the tree, if not where it is written."""
    write(root, {path: text.format(root=root if at is None else at)})
    (root / path).chmod(0o755)


def processors(*, khz: int = 1_500_000, governor: str = "performance", count: int = 4) -> dict[str, str]:
    """cpufreq of ``count`` processors with one clock."""
    cpu = "sys/devices/system/cpu"
    found = {f"{cpu}/cpu{n}/cpufreq/scaling_cur_freq": f"{khz}\n" for n in range(count)}
    found |= {f"{cpu}/cpu{n}/cpufreq/scaling_governor": f"{governor}\n" for n in range(count)}
    policy = {"scaling_min_freq": "600000\n", "scaling_max_freq": "1500000\n"}
    return found | {f"{cpu}/cpufreq/policy0/{name}": text for name, text in policy.items()}


def pi(
    root: Path,
    *,
    model: str = "4",
    throttled: str = "0x0",
    hz: int = 1_500_398_464,
    at: str | None = None,
) -> Path:
    """A Raspberry Pi 4 or 5; ``at`` as of `program`."""
    chip = {"4": "brcm,bcm2711", "5": "brcm,bcm2712"}[model]
    write(
        root,
        {
            "proc/device-tree/model": f"Raspberry Pi {model} Model B Rev 1.4\0",
            "proc/device-tree/compatible": f"raspberrypi,{model}-model-b\0{chip}\0",
            "proc/device-tree/serial-number": "10000000abcdef01\0",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
            "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
            "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
            **processors(),
            "run/throttled": f"throttled={throttled}\n",
            "run/clock": f"frequency({48 if model == '4' else 0})={hz}\n",
            **({"run/pmic": PMIC} if model == "5" else {}),
        },
    )
    program(root, "usr/bin/vcgencmd", VCGENCMD, at=at)
    return root


def orin_nano(root: Path) -> Path:
    """A Jetson Orin Nano under JetPack 6."""
    chip = "sys/bus/i2c/devices/1-0040"
    monitor = chip + "/hwmon/hwmon1"
    gpu = "sys/class/devfreq/17000000.gpu"
    rails = {1: ("VDD_IN", 5048, 1032), 2: ("VDD_CPU_GPU_CV", 5040, 264), 3: ("VDD_SOC", 5040, 288)}
    entries = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0",
        "proc/device-tree/serial-number": "1423024012345\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic\n",
        f"{chip}/name": "ina3221\n",
        f"{monitor}/in7_label": "sum of shunt voltages\n",
        f"{monitor}/in7_input": "0\n",
        f"{gpu}/cur_freq": "306000000\n",
        f"{gpu}/min_freq": "306000000\n",
        f"{gpu}/max_freq": "624750000\n",
        f"{gpu}/device/load": "125\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "50843\n",
        "sys/class/thermal/thermal_zone0/trip_point_0_type": "critical\n",
        "sys/class/thermal/thermal_zone0/trip_point_0_temp": "104500\n",
        "sys/class/thermal/thermal_zone0/trip_point_1_type": "passive\n",
        "sys/class/thermal/thermal_zone0/trip_point_1_temp": "99000\n",
        "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
        "sys/class/thermal/cooling_device0/cur_state": "0\n",
        "sys/class/thermal/cooling_device1/type": "pwm-fan\n",
        "sys/class/thermal/cooling_device1/cur_state": "2\n",
        "sys/class/hwmon/hwmon3/name": "soctherm_oc\n",
        **{f"sys/class/hwmon/hwmon3/oc{n}_event_cnt": "0\n" for n in (1, 2, 3)},
        **processors(khz=1_510_400, governor="schedutil", count=6),
        "run/nvpmodel": "NV Power Mode: MAXN_SUPER\n2\n",
    }
    for number, (label, milli_v, milli_a) in rails.items():
        entries[f"{monitor}/in{number}_label"] = label + "\n"
        entries[f"{monitor}/in{number}_input"] = f"{milli_v}\n"
        entries[f"{monitor}/curr{number}_input"] = f"{milli_a}\n"
    write(root, entries)
    program(root, "usr/sbin/nvpmodel", NVPMODEL)
    return root
