//! What can be shown without a card: refusals, names, and that the kernels compile for every target.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proofs::DeviceFault;

use super::{TARGETS, TENSOR, devices, open, target};
use crate::card::kernel::{Language, source};

#[test]
fn without_a_driver_or_a_compiler_it_is_said_which_of_them_is_missing() {
    match devices() {
        Ok(found) => found.iter().for_each(|card| drop(open(card.index).expect("it opens"))),
        Err(fault) => {
            let missing = |text: &str| text.contains("libcuda") || text.contains("libnvrtc");
            assert!(missing(&fault.to_string()), "{fault}");
            let refusal = open(0).map(|card| card.name());
            assert!(matches!(refusal, Err(DeviceFault::Driver(text)) if missing(&text)));
        }
    }
}

#[test]
fn a_card_is_compiled_for_as_far_as_it_is_known() {
    let check = |capability, expected| assert_eq!(target(capability), expected, "{capability:?}");
    check((3, 7), None);
    check((5, 2), Some("compute_50"));
    check((6, 0), Some("compute_50"));
    check((6, 1), Some("compute_61"));
    check((7, 0), Some("compute_61"));
    check((7, 5), Some("compute_75"));
    check((8, 0), Some("compute_80"));
    check((8, 9), Some("compute_80"));
    check((12, 0), Some("compute_80"));
}

#[test]
fn the_kernels_compile_for_every_target() {
    for (capability, name) in TARGETS {
        let tensor = capability >= TENSOR;
        let assembly = assembly(&source(Language::Cuda, tensor), &name.replace("compute", "sm"));
        assert!(assembly.contains(".entry multiply("), "{name}");
        assert_eq!(assembly.contains("mma.sync.aligned.m16n8k32"), tensor, "{name}");
        assert_eq!(assembly.contains("dp4a.s32.s32"), capability >= (6, 1), "{name}");
    }
}

/// What clang makes of CUDA C for this card; OpenCL's driver for processors brings it along.
fn assembly(source: &str, card: &str) -> String {
    let flags = [
        "-xcuda",
        "--cuda-device-only",
        "-nocudainc",
        "-nocudalib",
        "--cuda-feature=+ptx75",
        "-O1",
        "-Wall",
        "-Werror",
        "-S",
        "-o-",
        "-",
    ];
    let mut clang = Command::new(clang())
        .args(flags)
        .arg(format!("--cuda-gpu-arch={card}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("clang starts");
    let mut input = clang.stdin.take().expect("it is a pipe");
    let words = include_str!("../../kernels/clang.h");
    input.write_all(format!("{words}\n{source}").as_bytes()).expect("clang reads its source");
    drop(input);
    let output = clang.wait_with_output().expect("clang ends");
    assert!(output.status.success(), "the kernels do not compile for {card}");
    String::from_utf8(output.stdout).expect("assembly is text")
}

fn clang() -> String {
    let names = (15..=30).map(|version| format!("clang-{version}")).chain(["clang".to_owned()]);
    let starts = |name: &String| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    names
        .into_iter()
        .find(starts)
        .expect("`./x setup` installs OpenCL for processors, and clang with it")
}
