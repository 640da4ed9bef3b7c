pub mod copy_binary;
