// expect: this is not what it says
int main() { return undeclared; }
